import { InfrastructureError } from '../../../domain/errors.ts';
import type { Clock } from '../../../domain/ports/ambient.ts';
import { functionNames, type BuildManifest, type FunctionName } from '../build/manifest.ts';
import { deployedOf, type Deployed, type DeploymentCalls } from './calls.ts';
import { drain, type Left } from './drain.ts';
import { makeTables } from './tables.ts';

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
  /** The stack of network and database; `null` where there is none. */
  readonly foundation: string | null;
  /** How long to wait for what is under way, in milliseconds. */
  readonly drainLimitMs: number;
}

export interface DeploymentOutcome {
  readonly first: boolean;
  /** What the old build had not finished when the limit came; `null`: nothing. */
  readonly left: Left | null;
}

/**
 * Puts a build in the place of another without losing what is under way:
 *
 *     keep bundles ─ stop dispatch ─ drain ─ switch ─ tables ─ order the take-over ─ dispatch goes on
 *                    └─ what fails here lets the old build's dispatch go on
 *                                            └─ what fails here leaves dispatch stopped, and is made good by deploying again
 *
 * Orders wait in their queue meanwhile, and none is lost. With tables that are missing or too old they would be received in vain, and end as dead letters:
 * hence dispatch stays stopped where the new build is there and its tables are not.
 *
 * @throws InfrastructureError `E_DEPLOY`, `E_ACCESS_DENIED`, whatever a call threw, or the signal's reason
 */
export async function deployBuild(
  { manifest, stack, foundation, drainLimitMs }: DeploymentRequest,
  ports: DeploymentPorts,
  signal: AbortSignal,
): Promise<DeploymentOutcome> {
  const { calls, progress } = ports;
  const before = await findDeployed(stack, calls, signal);
  const stopped = before === null ? null : await stopForOther(before, manifest, drainLimitMs, ports, signal);
  if (before === null) progress(`${stack} is new`);
  await switchOver(before, stopped, ports, signal);
  try {
    const after = await findDeployed(stack, calls, signal);
    if (after === null)
      throw new InfrastructureError(`${stack} is not there after it was deployed`, { code: 'E_DEPLOY' });
    if (before === null) await keepBundles(after.bucket, manifest, ports, signal);
    await makeTables(after, foundation, calls, progress, signal);
    // What is left takes a moment: whoever stops a deployment now does not want dispatch to stand still.
    if (stopped !== null) await goOn(after, manifest, ports, new AbortController().signal);
  } catch (thrown) {
    if (stopped !== null)
      progress(`dispatch is still stopped, and orders wait: mend what is told below, and deploy again`);
    throw thrown;
  }
  return { first: before === null, left: stopped?.left ?? null };
}

/** That dispatch was stopped, and what is under way all the same. */
interface Stopped {
  readonly left: Left | null;
}

/** @returns `null` where dispatch goes on meanwhile: the same build is there, and nothing of it is to be left to another */
async function stopForOther(
  before: Deployed,
  manifest: BuildManifest,
  drainLimitMs: number,
  ports: DeploymentPorts,
  signal: AbortSignal,
): Promise<Stopped | null> {
  const { calls, progress } = ports;
  // Also of the same build: a version of the stack that kept none would be made good.
  await keepBundles(before.bucket, manifest, ports, signal);
  if (before.build === manifest.build) {
    if ((await calls.mappingState(before.dispatchMapping, signal)) === 'enabled') {
      progress(`build ${short(manifest.build)} is there: only the stack changes, nothing is stopped`);
      return null;
    }
    progress(
      `build ${short(manifest.build)} is there, and dispatch is stopped: an earlier deployment is brought to its end`,
    );
    return { left: null };
  }
  try {
    progress(`stopping dispatch of build ${short(before.build)}`);
    await switchMapping(before, false, ports, signal);
    return { left: await waitForCalm(before, drainLimitMs, ports, signal) };
  } catch (thrown) {
    await resumeAfterFailure(before, ports);
    throw thrown;
  }
}

async function switchOver(
  before: Deployed | null,
  stopped: Stopped | null,
  ports: DeploymentPorts,
  signal: AbortSignal,
): Promise<void> {
  ports.progress('CloudFormation: switching');
  try {
    await ports.switchStacks(signal);
  } catch (thrown) {
    if (stopped !== null && before !== null) await resumeAfterFailure(before, ports);
    throw thrown;
  }
}

/** Sections that the old build planned and has not begun go over to the new one; then new orders are taken again. */
async function goOn(
  after: Deployed,
  { pipeline, build }: BuildManifest,
  ports: DeploymentPorts,
  signal: AbortSignal,
): Promise<void> {
  const { calls, progress } = ports;
  await calls.send(after.dispatchQueue, JSON.stringify({ pipeline, takeOver: true }), signal);
  progress(`ordered that what nobody has begun goes over to build ${short(build)}`);
  await switchMapping(after, true, ports, signal);
  progress('dispatch goes on');
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
      : `the limit came first: sections that are begun are finished by the kept bundles of build ${short(deployed.build)}`,
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
