/** A bug that is planted in the real code: in one file, one text is replaced by another. */
export interface Mutant {
  readonly name: string;
  /** Under `src`. */
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly find: string;
  readonly replace: string;
  /** A history that shows it, of a bug that few show: tried first. What follows from a seed may change; then the others are tried. */
  readonly seed?: number;
}

/** Each of these loses something, counts something twice, or leaves something undone. One that survives is a hole in the oracle. */
export const mutants: readonly Mutant[] = [
  {
    name: 'the id of a frame is not recorded in the transaction that applies it',
    file: 'adapters/inmemory/result-store.ts',
    find: 'const applied = section?.frames.get(frame.partition)?.get(frame.number);',
    replace: 'const applied: string | undefined = undefined;',
  },
  {
    name: 'keys of messages from elsewhere are not recorded in the transaction that applies them',
    file: 'adapters/inmemory/result-store.ts',
    find: 'for (const key of seen) if (!source.keys.has(key)) source.keys.set(key, batch.at);',
    replace: '',
  },
  {
    name: 'a closed failure is settled again',
    file: 'adapters/inmemory/result-store.ts',
    find: "known === undefined || known.record.state === 'closed') return 'closed';",
    replace: "known === undefined) return 'closed';",
  },
  {
    name: 'a section is complete without its record',
    file: 'domain/applying.ts',
    find: 'if (record === undefined) return false;',
    replace: 'if (record === undefined) return appliedByPartition.size > 0;',
  },
  {
    name: 'a section is complete when its record is there, whatever frames are',
    file: 'domain/applying.ts',
    find: 'return record.frames.every(([partition, frames]) => appliedByPartition.get(partition) === frames);',
    replace: 'return true;',
  },
  {
    name: 'frames of an older epoch count',
    seed: 217,
    file: 'domain/applying.ts',
    find: "if (!isSameBinding(incoming, binding)) return 'stale';",
    replace: '',
  },
  {
    name: 'what another build has begun is taken over',
    file: 'adapters/inmemory/result-store.ts',
    find: 'const { build, epoch } = section ?? object;',
    replace: 'const { build, epoch } = object;',
  },
  {
    name: 'old frames of a section that was taken over and begun are applied',
    seed: 318,
    file: 'adapters/inmemory/result-store.ts',
    find: 'const { build, epoch } = section ?? object;',
    replace: 'const { build, epoch } = ref.epoch < object.epoch ? ref : (section ?? object);',
  },
  {
    name: 'sections that another build has begun are left to nobody',
    seed: 418,
    file: 'application/dispatch/split-tasks.ts',
    find: 'holderOf.get(section) ?? own',
    replace: 'own',
  },
  {
    name: 'what an older epoch has begun is expected under the new one',
    seed: 290,
    file: 'domain/planning.ts',
    find: '!section.complete && !isSameBinding(section, own)',
    replace: '!section.complete && section.build !== own.build',
  },
  {
    name: 'an object that was begun is planned under another version',
    file: 'domain/planning.ts',
    find: 'const begun = known.complete || sections.length > 0 || known.settled === true;',
    replace: 'const begun = false;',
  },
  {
    name: 'failures are opened twice',
    file: 'adapters/inmemory/result-store.ts',
    find: 'if (!data.failures.has(failure.id)) this.#openFailure(data, failure, attempt);',
    replace: `this.#openFailure(data, failure, attempt);
        this.#openFailure(data, { ...failure, id: failure.id + '-again' }, attempt);`,
  },
  {
    name: 'tasks are queued before the plan is recorded',
    file: 'application/dispatch/object-dispatcher.ts',
    find: 'return this.#ports.store.plan(this.#plan, objects, this.#context.signal);',
    replace: `
      const { signal } = this.#context;
      const plan = () => this.#ports.store.plan(this.#plan, objects, signal);
      this.#ports.clock.sleep(2_000, signal).then(plan).catch(() => undefined);
      return Promise.resolve(
        objects.map((one) => ({ ...one, verdict: 'process', epoch: 1, complete: [], held: [] })),
      );`,
  },
  {
    name: 'keys that somebody else has in hand are skipped',
    seed: 191,
    file: 'application/ingest/ingest.ts',
    find: "if (claim.state === 'busy') return 'busy';",
    replace: "if (claim.state === 'busy') return 'duplicate';",
  },
  {
    name: 'keys are committed before their messages are put',
    seed: 135,
    file: 'application/ingest/ingest.ts',
    find: 'const sender = new FrameSender(sendingOf(context, ports));',
    replace:
      'await dedup.commit(mine, signal);\n  const sender = new FrameSender(sendingOf(context, ports));',
  },
  {
    name: 'a key is released by a token that was overtaken',
    seed: 87,
    file: 'adapters/inmemory/dedup-store.ts',
    find: 'return claims.map(({ key, token }) => this.#held.get(key)?.token === token && this.#held.delete(key));',
    replace: 'return claims.map(({ key }) => this.#held.delete(key));',
  },
  {
    name: 'a lease is shorter than what it covers',
    seed: 28,
    file: 'entrypoints/lambda/handle-transform.ts',
    find: 'const leaseMs = Math.max(MIN_LEASE_MS, deadline - clock.now());',
    replace: 'const leaseMs = 1;',
  },
  {
    name: 'FailedRecordCount is not looked at',
    file: 'adapters/aws/kinesis-client.ts',
    find: 'if (reply.FailedRecordCount === 0) return',
    replace: 'if (reply !== undefined) return',
  },
  {
    name: 'rejected frames are put again without those of their partition waiting',
    file: 'application/frames/frame-sender.ts',
    find: 'if (!queue.inFlight && queue.readyAt <= now) ready.push(queue);',
    replace:
      'if (!queue.inFlight && queue.readyAt <= now) ready.push(queue);\n      else if (!queue.inFlight && queue.next + 1 < queue.frames.length) { queue.next++; ready.push(queue); }',
  },
  {
    name: 'sequence numbers are compared as doubles',
    seed: 196,
    file: 'entrypoints/lambda/partial-response.ts',
    find: '(BigInt(number) < BigInt(least) ? number : least)',
    replace: '(Number(number) < Number(least) ? number : least)',
  },
  {
    name: 'a record that failed is left out of the response',
    file: 'entrypoints/lambda/apply-records.ts',
    find: 'unfinished.push(record);',
    replace: '',
  },
  {
    name: 'a message that arrived is named by the day on which it is read',
    file: 'entrypoints/lambda/handle-transform.ts',
    find: 'namedByArrival(record, source)',
    replace:
      'namedByArrival({ ...record, kinesis: { ...record.kinesis, approximateArrivalTimestamp: call.clock.now() / 1000 } }, source)',
  },
  {
    name: 'a batch of the stream counts as processed one record too far',
    file: 'adapters/inmemory/stream-mapping.ts',
    find: 'return { processed: Math.max(0, at), error: undefined };',
    replace: 'return { processed: Math.max(0, at) + 1, error: undefined };',
  },
  {
    name: 'frames depend on the clock',
    file: 'application/transform/section-writer.ts',
    find: '(body.count >= maxFrameMessages ||',
    replace: '(body.count >= maxFrameMessages - Math.floor(Math.random() * 3) ||',
  },
];
