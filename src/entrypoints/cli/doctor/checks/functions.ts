import type { FunctionName } from '../../build/manifest.ts';
import type { Check, Problem } from '../problem.ts';
import type { Stack, StackFunction } from '../stack.ts';
import { numberOf } from '../template.ts';

/** What each function cannot start without, beside a place for results; `src/entrypoints/lambda/configuration.ts` reads it. */
const needed: Readonly<Record<FunctionName, readonly string[]>> = {
  dispatch: [
    'SLUICE_BUCKET',
    'SLUICE_TASK_QUEUE_URL',
    'SLUICE_DISPATCH_QUEUE_URL',
    'SLUICE_FAILURE_QUEUE_URL',
  ],
  transform: ['SLUICE_BUCKET', 'SLUICE_TASK_QUEUE_URL', 'SLUICE_STREAM_NAME'],
  analyze: ['SLUICE_BUCKET', 'SLUICE_FAILURE_QUEUE_URL'],
  reprocess: ['SLUICE_BUCKET', 'SLUICE_TASK_QUEUE_URL', 'SLUICE_STREAM_NAME'],
};

/** Less leaves no time to flush: what is measured and its margin come off it. In seconds. */
const SHORTEST_TIMEOUT = 10;
const DEFAULT_CONNECTIONS = 2;
/** What one pipeline may take of a database: the rest is for what it replaces, what stands beside it, and people. */
const SHARE = 0.5;
/** They finish the work of another build by its kept bundle, which has connections of its own. */
const KEEPING: ReadonlySet<FunctionName> = new Set(['analyze', 'reprocess']);

export const environment: Check = ({ functions, mappings }) =>
  functions.flatMap((one) => {
    const wanted = [...needed[one.name]];
    if (one.name === 'transform' && takesMessages(one, mappings)) wanted.push('SLUICE_REDIS_URL');
    if (one.name !== 'transform' && one.environment['SLUICE_RESULTS'] === undefined)
      wanted.push('SLUICE_DATABASE_URL');
    const missing = wanted.filter(
      (name) => one.environment[name] === undefined || one.environment[name] === '',
    );
    return missing.map((name) => ({
      code: 'D_ENVIRONMENT',
      severity: 'error',
      resource: one.id,
      message: `${one.name} cannot start without ${name}`,
      remedy: `Set ${name} in the environment of the function; docs/deploy.md has all of them.`,
    }));
  });

/** Messages from elsewhere: transform takes them from a queue of their own, or from a stream. */
function takesMessages(one: StackFunction, mappings: Stack['mappings']): boolean {
  const own = mappings.filter(({ target }) => target === one);
  return own.some(({ kind }) => kind === 'stream') || own.filter(({ kind }) => kind === 'queue').length > 1;
}

export const timeout: Check = ({ functions }) =>
  functions
    .filter(({ timeout: seconds }) => seconds < SHORTEST_TIMEOUT)
    .map(({ id, name, timeout: seconds }) => ({
      code: 'D_TIMEOUT',
      severity: 'error',
      resource: id,
      message: `${name} has ${seconds} s: there is no time to flush and to hand on what is left`,
      remedy: 'Set Timeout: minutes for dispatch, transform and reprocess.',
    }));

export const runtime: Check = ({ functions }) =>
  functions
    .filter(({ runtime: name }) => name !== undefined && !/^nodejs(2[2-9]|[3-9]\d)\.x$/.test(name))
    .map(({ id, name, runtime: found }) => ({
      code: 'D_RUNTIME',
      severity: 'error',
      resource: id,
      message: `${name} runs on ${found}: bundles of Sluice need Node 22.18 or later, and AWS takes no other any more`,
      remedy: 'Set Runtime to nodejs24.x.',
    }));

export const recursion: Check = ({ functions }) =>
  functions
    .filter(
      ({ name, recursiveLoop, environment: { SLUICE_UNDELIVERED_QUEUE_URL: goesOn } }) =>
        recursiveLoop !== 'Allow' &&
        (name === 'dispatch' || name === 'transform' || (name === 'reprocess' && goesOn !== undefined)),
    )
    .map(({ id, name }) => ({
      code: 'D_RECURSION',
      severity: 'error',
      resource: id,
      message: `${name} goes on by messages to itself, and Lambda stops it after 16 rounds: recursive loops are not allowed`,
      remedy: 'Set RecursiveLoop to Allow: what is left strictly shrinks from message to message.',
    }));

export const build: Check = ({ functions }, { manifest }) => {
  if (manifest === undefined) return [];
  return functions
    .filter(({ build: found }) => found !== undefined && !manifest.build.startsWith(found))
    .map(({ id, name, build: found }) => ({
      code: 'D_BUILD',
      severity: 'warning',
      resource: id,
      message: `${name} is of build ${found}, and the build folder of ${manifest.build.slice(0, 12)}`,
      remedy: 'Synthesize or deploy again, or give the build folder that belongs to it.',
    }));
};

export const connections: Check = (stack, known) => {
  const connected = stack.functions.filter((one) => one.environment['SLUICE_DATABASE_URL'] !== undefined);
  if (connected.length === 0 || (stack.hasProxy && known.maxConnections === undefined)) return [];
  const caps = connected.map((one) => ({ one, cap: capOf(one, stack) }));
  const unbounded: Problem[] = caps
    .filter(({ cap }) => cap === null)
    .map(({ one }) => ({
      code: 'D_CONNECTIONS',
      severity: 'error',
      resource: one.id,
      message: `${one.name} may run as often as the account allows, each with its connections to the database`,
      remedy:
        'Reserve its concurrency (ReservedConcurrentExecutions), or cap its mapping (MaximumConcurrency).',
    }));
  const most = known.maxConnections ?? stack.maxConnections;
  if (unbounded.length > 0 || most === null) return unbounded;
  const parts = caps.map(({ one, cap }) => {
    const each = numberOf(one.environment['SLUICE_DATABASE_CONNECTIONS']) ?? DEFAULT_CONNECTIONS;
    const builds = KEEPING.has(one.name) ? 2 : 1;
    return {
      text: `${one.name} ${cap ?? 0} × ${each}${builds > 1 ? ` × ${builds} builds` : ''}`,
      connections: (cap ?? 0) * each * builds,
    };
  });
  const wanted = parts.reduce((sum, part) => sum + part.connections, 0);
  if (wanted <= most * SHARE) return [];
  return [
    {
      code: 'D_CONNECTIONS',
      severity: wanted > most ? 'error' : 'warning',
      resource: connected[0]?.id ?? '',
      message: `${parts.map(({ text }) => text).join(' + ')} = ${wanted} connections, and the database takes ${most}, half of them for what is replaced or stands beside`,
      remedy:
        'Lower concurrency or SLUICE_DATABASE_CONNECTIONS, give the database more capacity, or put a proxy before it.',
    },
  ];
};

/** Containers at once at most; `null`: no cap. Direct calls come on top where only mappings cap. */
function capOf(one: StackFunction, { mappings }: Stack): number | null {
  if (one.reserved !== null) return one.reserved;
  const own = mappings.filter(({ target }) => target === one);
  let sum = 0;
  for (const mapping of own) {
    if (mapping.kind === 'queue') {
      if (mapping.maximumConcurrency === null) return null;
      sum += mapping.maximumConcurrency;
    } else {
      if (mapping.stream === undefined || mapping.stream.shards === null) return null;
      sum += mapping.stream.shards * mapping.parallelizationFactor;
    }
  }
  return own.length === 0 ? null : sum;
}
