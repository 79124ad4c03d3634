/** A mail server in agent.yaml, for tasks that send mail. */
import { z } from 'zod';

export const SmtpServer = z.strictObject({
  host: z.string().min(1),
  port: z.int().min(1).max(65_535).default(25),
  secure: z.boolean().default(false),
  'require-tls': z.boolean().default(true),
  user: z.string().optional(),
  /** Name of the password's file in the credentials directory. */
  password: z.string().optional(),
});
export type SmtpServer = z.output<typeof SmtpServer>;
