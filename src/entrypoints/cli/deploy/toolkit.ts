import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { DomainError, InfrastructureError } from '../../../domain/errors.ts';
import type { DeploymentCalls } from './calls.ts';

/** `sluice-infra`, wherever it is installed. */
export interface Toolkit {
  /** The app of CDK, to be run by Node. */
  readonly app: string;
  /** The command line of CDK, to be run by Node. */
  readonly cdk: string;
  readonly calls: () => Promise<DeploymentCalls>;
}

/** `infra` of the repository of Sluice; there is none beside the package. */
const REPOSITORY = fileURLToPath(new URL('../../../../infra', import.meta.url));

/**
 * Beside the pipeline as a package, or in the repository of Sluice.
 *
 * @throws DomainError `E_NOT_INSTALLED`
 */
export function findToolkit(workingFolder: string, repository = REPOSITORY): Toolkit {
  const root = installedRoot(workingFolder) ?? installedIn(repository);
  if (root === null)
    throw new DomainError(
      'sluice deploy needs sluice-infra: npm install --save-dev sluice-infra aws-cdk-lib constructs (in the repository of Sluice: npm ci --prefix infra)',
      { code: 'E_NOT_INSTALLED' },
    );
  // The repository runs from its sources, the package from what was built of them.
  const isBuilt = existsSync(path.join(root, 'dist/bin/app.js'));
  const file = (name: string) => path.join(root, isBuilt ? `dist/${name}.js` : `${name}.ts`);
  return {
    app: file('bin/app'),
    cdk: path.join(
      path.dirname(createRequire(path.join(root, 'package.json')).resolve('aws-cdk/package.json')),
      'bin/cdk',
    ),
    calls: async () => {
      const module = (await import(pathToFileURL(file('src/deployment/index')).href)) as {
        createDeploymentCalls(): DeploymentCalls;
      };
      return module.createDeploymentCalls();
    },
  };
}

function installedRoot(folder: string): string | null {
  try {
    return path.dirname(
      createRequire(path.join(folder, 'package.json')).resolve('sluice-infra/package.json'),
    );
  } catch {
    return null;
  }
}

function installedIn(root: string): string | null {
  return existsSync(path.join(root, 'node_modules/aws-cdk-lib/package.json')) ? root : null;
}

export interface SynthesisOptions {
  readonly toolkit: Toolkit;
  /** Where templates and assets go. */
  readonly output: string;
  readonly context: Readonly<Record<string, string>>;
}

/** Writes the templates, and lets cdk-nag check them; nothing of AWS is asked. */
export async function synthesize(
  { toolkit, output, context }: SynthesisOptions,
  signal: AbortSignal,
): Promise<void> {
  // It may not start with a quote: CDK would take it for one round everything.
  const app = `node ${JSON.stringify(toolkit.app)}`;
  const contextArgs = Object.entries(context).flatMap(([name, value]) => ['--context', `${name}=${value}`]);
  await mkdir(output, { recursive: true });
  await runCdk(
    toolkit,
    ['synth', '--quiet', '--no-lookups', '--app', app, '--output', output, ...contextArgs],
    output,
    signal,
  );
}

/** Deploys what was synthesized, and nothing else. */
export async function deployStacks(
  toolkit: Toolkit,
  output: string,
  stacks: readonly string[],
  { yes }: { readonly yes: boolean },
  signal: AbortSignal,
): Promise<void> {
  const approval = yes ? ['--require-approval', 'never'] : [];
  await runCdk(toolkit, ['deploy', ...stacks, '--app', output, ...approval], output, signal);
}

/** In a folder without a `cdk.json`: what counts is on the command line. */
async function runCdk(
  { cdk }: Toolkit,
  args: readonly string[],
  folder: string,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  const child = spawn(process.execPath, [cdk, '--no-notices', '--no-version-reporting', ...args], {
    cwd: folder,
    // CDK asks before it widens permissions. Standard output is for what `sluice deploy` itself was asked for.
    stdio: ['inherit', process.stderr, 'inherit'],
    env: {
      ...process.env,
      CDK_DISABLE_CLI_TELEMETRY: 'true',
      // The app runs on the Node that this is.
      PATH: [path.dirname(process.execPath), process.env['PATH'] ?? ''].join(path.delimiter),
    },
  });
  // It ends what it has begun in order; CloudFormation goes on by itself in any case.
  const interrupt = () => child.kill('SIGINT');
  signal.addEventListener('abort', interrupt, { once: true });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  }).finally(() => signal.removeEventListener('abort', interrupt));
  signal.throwIfAborted();
  if (code !== 0)
    throw new InfrastructureError(`cdk ${args[0]} ended with ${code ?? 'a signal'}: it says above why`, {
      code: 'E_DEPLOY',
    });
}
