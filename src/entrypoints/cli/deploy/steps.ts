import { InfrastructureError } from '../../../domain/errors.ts';
import type { Clock } from '../../../domain/ports/ambient.ts';
import { functionNames, type BuildManifest, type FunctionName } from '../build/manifest.ts';
import { deployedOf, type Deployed, type DeploymentCalls } from './calls.ts';
import { drain, type Left } from './drain.ts';

export interface DeploymentPorts {
  readonly calls: DeploymentCalls;
  readonly clock: Clock;
  /** The bundle of a function, as it was built. */
  readonly bundle: (name: FunctionName) => Promise<Uint8Array>;
  /** Lets CloudFormation make the stacks what was synthesized. */
  readonly switchStacks: (signal: AbortSignal) => Promise<void>;
  /** One line for every step, and for every look while draining. */
  readonly progress: (line: string) => void;
}

export interface DeploymentRequest {
  readonly manifest: BuildManifest;
  readonly stack: string;
  /** How long to wait for what is under way, in milliseconds. */
  readonly drainLimitMs: number;
  /** Places whose objects are planned anew afterwards: sections of which nothing is applied go over to the new build. */
  readonly takeOver: readonly string[];
}

export interface DeploymentOutcome {
  readonly first: boolean;
  /** What the old build had not finished when the limit came; `null`: nothing. */
  readonly left: Left | null;
  readonly takenOver: readonly string[];
}

/**
 * Puts a build in the place of another without losing what is under way: stops dispatch, waits, keeps the bundles, switches, and goes on. Whatever fails, dispatch is
 * switched on again: orders wait in their queue meanwhile, and none is lost.
 *
 * @throws InfrastructureError `E_DEPLOY`, whatever a call threw, or the signal's reason
 */
export async function deployBuild(
  { manifest, stack, drainLimitMs, takeOver }: DeploymentRequest,
  ports: DeploymentPorts,
  signal: AbortSignal,
): Promise<DeploymentOutcome> {
  const { calls, progress, switchStacks } = ports;
  const before = await findDeployed(stack, calls, signal);
  const isOther = before !== null && before.build !== manifest.build;
  let left: Left | null = null;
  let dispatchIsStopped = false;
  try {
    if (before === null) progress(`${stack} is new`);
    else {
      // Also of the same build: a version of the stack that kept none would be made good.
      await keepBundles(before.bucket, manifest, ports, signal);
      if (isOther) {
        progress(`stopping dispatch of build ${short(before.build)}`);
        dispatchIsStopped = true;
        await switchMapping(before, false, ports, signal);
        left = await waitForCalm(before, drainLimitMs, ports, signal);
      } else progress(`build ${short(manifest.build)} is there: only the stack changes, nothing is stopped`);
    }
    progress('CloudFormation: switching');
    await switchStacks(signal);
  } catch (thrown) {
    if (dispatchIsStopped && before !== null) await resumeAfterFailure(before, ports);
    throw thrown;
  }
  const after = await findDeployed(stack, calls, signal);
  if (after === null)
    throw new InfrastructureError(`${stack} is not there after it was deployed`, { code: 'E_DEPLOY' });
  if (before === null) await keepBundles(after.bucket, manifest, ports, signal);
  if (dispatchIsStopped) {
    await switchMapping(after, true, ports, signal);
    progress('dispatch goes on');
  }
  for (const place of takeOver) {
    await calls.send(
      after.dispatchQueue,
      JSON.stringify({ pipeline: manifest.pipeline, objects: [place] }),
      signal,
    );
    progress(
      `ordered ${place}: sections of which nothing is applied go over to build ${short(manifest.build)}`,
    );
  }
  return { first: before === null, left, takenOver: takeOver };
}

/** @returns `null`: there is no such stack */
async function findDeployed(
  stack: string,
  calls: DeploymentCalls,
  signal: AbortSignal,
): Promise<Deployed | null> {
  const outputs = await calls.outputs(stack, signal);
  if (outputs === null) return null;
  const deployed = deployedOf(outputs);
  if (deployed === null)
    throw new InfrastructureError(`${stack} is there, but is no stack of a pipeline: give --stack-name`, {
      code: 'E_DEPLOY',
    });
  return deployed;
}

async function keepBundles(
  bucket: string,
  { pipeline, build }: BuildManifest,
  { calls, bundle, progress }: DeploymentPorts,
  signal: AbortSignal,
): Promise<void> {
  for (const name of functionNames)
    await calls.putObject(bucket, `bundles/${pipeline}/${build}/${name}.mjs`, await bundle(name), signal);
  progress(`bundles of build ${short(build)} are kept in ${bucket}`);
}

async function waitForCalm(
  deployed: Deployed,
  limitMs: number,
  { calls, clock, progress }: DeploymentPorts,
  signal: AbortSignal,
): Promise<Left | null> {
  const report = ({ orders, tasks, ageMs }: Left) =>
    progress(`draining: ${orders} orders, ${tasks} tasks, frames ${Math.round(ageMs / 1000)} s behind`);
  const left = await drain(deployed, { limitMs, report }, calls, clock, signal);
  progress(
    left === null
      ? 'drained'
      : `the limit came first: what is left is finished by the kept bundles of build ${short(deployed.build)}`,
  );
  return left;
}

/** Lambda takes a while, and refuses a change while another one is under way. */
const MAPPING_LOOKS = 60;
const MAPPING_INTERVAL_MS = 2_000;

async function switchMapping(
  { dispatchMapping }: Deployed,
  enabled: boolean,
  { calls, clock }: Pick<DeploymentPorts, 'calls' | 'clock'>,
  signal: AbortSignal,
): Promise<void> {
  const wanted = enabled ? 'enabled' : 'disabled';
  let ordered = false;
  for (let look = 0; look < MAPPING_LOOKS; look++) {
    const state = await calls.mappingState(dispatchMapping, signal);
    if (state === wanted) return;
    if (state !== 'changing' && !ordered) {
      await calls.setMapping(dispatchMapping, enabled, signal);
      ordered = true;
    }
    await clock.sleep(MAPPING_INTERVAL_MS, signal);
  }
  throw new InfrastructureError(`the mapping of dispatch, ${dispatchMapping}, does not become ${wanted}`, {
    code: 'E_DEPLOY',
  });
}

/** With a signal of its own: whoever stops a deployment does not want dispatch to stand still. */
async function resumeAfterFailure(before: Deployed, ports: DeploymentPorts): Promise<void> {
  try {
    await switchMapping(before, true, ports, new AbortController().signal);
    ports.progress(`dispatch goes on with build ${short(before.build)}`);
  } catch {
    ports.progress(
      `dispatch is still stopped: aws lambda update-event-source-mapping --enabled --uuid ${before.dispatchMapping}`,
    );
  }
}

function short(build: string): string {
  return build.slice(0, 12);
}
