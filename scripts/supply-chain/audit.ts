import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { root } from './lockfile.ts';

/** What is known of the vulnerabilities of a published package's dependencies. */
export type Audit =
  | { readonly outcome: 'none' }
  | { readonly outcome: 'found'; readonly vulnerable: readonly string[] }
  /** The registry answers no such question: nothing is known, which is not the same as nothing found. */
  | { readonly outcome: 'not checked'; readonly why: string };

/** What `npm audit --json` says. */
interface Report {
  readonly message?: string;
  readonly error?: { readonly summary?: string };
  readonly vulnerabilities?: Readonly<
    Record<string, { readonly name: string; readonly severity: string; readonly range: string }>
  >;
}

const GRAVE: ReadonlySet<string> = new Set(['high', 'critical']);

/**
 * Asks the registry for vulnerabilities of high severity.
 *
 * @param flags more of npm's own: another registry
 */
export async function audit(folder: string, flags: readonly string[] = []): Promise<Audit> {
  const command = ['audit', '--json', '--omit=dev', '--package-lock-only', ...flags];
  const stdout = await new Promise<string>((resolve) => {
    // It ends with 1 both where it finds something and where it could not ask: what it says tells the two apart.
    execFile('npm', command, { cwd: join(root, folder), maxBuffer: 64 * 1024 * 1024 }, (_error, out) =>
      resolve(out),
    );
  });
  return auditOf(stdout);
}

export function auditOf(stdout: string): Audit {
  let report: Report;
  try {
    report = JSON.parse(stdout) as Report;
  } catch {
    return { outcome: 'not checked', why: 'npm audit gave no report' };
  }
  const { vulnerabilities, message, error } = report;
  if (vulnerabilities === undefined)
    return { outcome: 'not checked', why: message ?? error?.summary ?? 'npm audit gave no report' };
  const vulnerable = Object.values(vulnerabilities)
    .filter(({ severity }) => GRAVE.has(severity))
    .map(({ name, severity, range }) => `${name} ${range} (${severity})`);
  return vulnerable.length === 0 ? { outcome: 'none' } : { outcome: 'found', vulnerable };
}
