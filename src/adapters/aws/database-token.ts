import { Signer } from '@aws-sdk/rds-signer';
import { explained } from './errors.ts';

export interface DatabaseLogin {
  readonly host: string;
  readonly port: number;
  readonly user: string;
}

/**
 * Tokens that are passwords of databases with IAM authentication. One holds for 15 minutes, for as many new connections as are
 * made meanwhile; region and credentials are the standard ones of AWS.
 *
 * @throws InfrastructureError where there are no credentials
 */
export function databaseTokens({ host, port, user }: DatabaseLogin): () => Promise<string> {
  const signer = new Signer({ hostname: host, port, username: user });
  const { signal } = new AbortController();
  // Nothing is asked over the network: a token is a signature, and a new one for each connection is never too old.
  return () => explained('there is no token for the database', signal, () => signer.getAuthToken());
}
