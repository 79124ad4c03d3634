/** The action `send-mail`: by nodemailer, over an SMTP server that agent.yaml names. */
import { createTransport } from 'nodemailer';
import type { SmtpServer } from '../config/smtp.ts';
import type { Task } from './task.ts';

export type Mail = NonNullable<Task['action']['send-mail']>;

/** Milliseconds for each step of the conversation with the mail server. */
const PATIENCE = 15_000;

export interface Attachment {
  filename: string;
  content: Buffer;
}

/** @param password of the server's user. @throws Error that says why the mail was not accepted */
export async function sendMail(mail: Mail, server: SmtpServer, password: string | undefined, payload: Attachment): Promise<void> {
  const settings = mail['mail-settings'];
  const transport = createTransport({
    host: server.host,
    port: server.port,
    secure: server.secure,
    requireTLS: server['require-tls'],
    ...(server.user === undefined ? {} : { auth: { user: server.user, pass: password ?? '' } }),
    connectionTimeout: PATIENCE,
    greetingTimeout: PATIENCE,
    socketTimeout: PATIENCE,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  try {
    await transport.sendMail({
      from: settings['sender-email'],
      to: settings.recipients,
      ...(settings['cc-recipients'] === undefined ? {} : { cc: settings['cc-recipients'] }),
      ...(settings['bcc-recipients'] === undefined ? {} : { bcc: settings['bcc-recipients'] }),
      subject: settings.subject,
      text: settings.body,
      attachments: settings.attachment === 'payload' ? [payload] : [],
    });
  } finally {
    transport.close();
  }
}
