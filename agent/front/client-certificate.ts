/** `tls.clients` in agent.yaml: who connects with TLS has to have a certificate that the file trusts. */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { Failure } from '../../protocol/failures.ts';

/** A listener without TLS is not concerned. @throws Failure `unauthorized` */
export function checkClientCertificate(socket: Socket): void {
  if (!(socket instanceof TLSSocket)) return;
  // First, and not left to `authorized`: of a resumed TLS 1.3 session without a certificate Node has no verdict to give.
  if (socket.getPeerX509Certificate() === undefined) {
    throw new Failure('unauthorized', 'this agent demands a client certificate; set MEDIATOR_CERT and MEDIATOR_CERT_KEY of the stub');
  }
  if (socket.authorized) return;
  const reason = String(socket.authorizationError);
  throw new Failure(
    'unauthorized',
    `the client certificate is not trusted (${reason}); set MEDIATOR_CERT to one that tls.clients in agent.yaml trusts`,
  );
}
