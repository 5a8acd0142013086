import type { Burst } from './burst.ts';
import { capacityUnits } from './cost.ts';
import type { EstimateRequest } from './estimate.ts';
import { ON_DEMAND_START_SHARDS, provisionedPollers, shard } from './limits-of-aws.ts';
import type { Quantities } from './quantities.ts';

/** What a limit of AWS or of the deployment has in the way of the work, and what to do about it. */
export function notesOf(request: EstimateRequest, quantities: Quantities, burst: Burst): readonly string[] {
  const { workload, deployment, peak, functions, accountConcurrency } = request;
  const notes: string[] = [];
  const { ramp } = burst;
  if (burst.secondsToReach === null) {
    if (ramp.keptBy === 'account')
      notes.push(
        `${count(functions)} functions at once are more than the account may run (${count(accountConcurrency)}): ask AWS for a higher quota of concurrent executions, and say it by --account-concurrency`,
      );
    else if (deployment.transformPollers === null)
      notes.push(
        `${count(functions)} functions at once need dedicated pollers: -c transformPollers=10-${Math.ceil(functions / provisionedPollers.invocationsEach)} (here --pollers)`,
      );
    else
      notes.push(
        `${count(functions)} functions at once need ${Math.ceil(functions / provisionedPollers.invocationsEach)} pollers, ${deployment.transformPollers.maximum} are given`,
      );
  }
  const perSecond = workload.hours * 3600;
  const shards = Math.max(
    ((quantities.stream.bytes / perSecond) * peak) / shard.bytesPerSecond,
    ((quantities.stream.records / perSecond) * peak) / shard.recordsPerSecond,
  );
  const there = deployment.shards ?? ON_DEMAND_START_SHARDS;
  if (shards > Math.min(there, workload.partitions))
    notes.push(
      `at its peak the stream gets what ${count(Math.ceil(shards))} shards take, and ${
        shards > workload.partitions
          ? `only as many shards as the pipeline has partitions (${workload.partitions}) take anything: raise both`
          : `it has ${there}${deployment.shards === null ? ' to start with: on demand it grows, throttled meanwhile' : ''}`
      }`,
    );
  if (burst.boundBy !== 'functions' && burst.tasks > 0 && burst.seconds > 1.1 * burst.bounds.functions)
    notes.push(
      {
        stream: `with all tasks at once ${burst.shards} shards bind, not functions: ${count(burst.shardsNeeded)} shards, and as many partitions, would take what they send`,
        analyze: `with all tasks at once analyze binds, not transform: more shards, a higher parallelization factor or more memory`,
        database: `with all tasks at once the database binds: more capacity (-c databaseCapacity), larger sections or fewer partitions, of which each frame is a transaction`,
      }[burst.boundBy],
    );
  const units = capacityUnits(quantities, request, peak);
  if (units >= deployment.database.maximumCapacity)
    notes.push(
      `the database needs more than the ${deployment.database.maximumCapacity} capacity units that it may have, at its peak`,
    );
  if (quantities.cache.bytes > deployment.cacheBytes)
    notes.push(
      `Redis has room for ${count((deployment.cacheBytes / quantities.cache.bytes) * 100)} % of the keys of a day and forgets the oldest: what comes again after that costs work, and is dropped where it is applied`,
    );
  return notes;
}

function count(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 0 });
}
