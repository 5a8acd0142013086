import type { Measures } from '../../domain/measure.ts';
import type { MergeStates } from '../../domain/ports/result-store.ts';
import type { Kind } from './kind.ts';
import { kinds, kindsByTag } from './kinds.ts';
import { corrupt, StateReader, StateWriter } from './state-bytes.ts';

/** The version of the bytes of a group's state; a reader refuses others. */
export const STATE_FORMAT = 1;

/**
 * Merges two states of a group, of any pipeline: which kinds they hold stands in them.
 *
 * @throws InfrastructureError `E_FRAME_CORRUPT` where one is damaged, or where they hold other measures
 */
export const mergeStates: MergeStates = (stored, added) => {
  const a = new StateReader(stored);
  const b = new StateReader(added);
  const measures = readHead(a);
  if (readHead(b) !== measures) throw corrupt('two states hold another number of measures');
  const out = new StateWriter(stored.length + added.length + 16);
  writeStateHead(out, measures);
  for (let i = 0; i < measures; i++) {
    const kind = readKind(a);
    if (readKind(b) !== kind) throw corrupt('two states hold other measures');
    out.byte(kind.tag);
    kind.merge(a, b, out);
  }
  a.end();
  b.end();
  return out.take();
};

/**
 * What the measures of a group read as, by name: numbers, `null` where nothing was measured, dates, `Quantiles`.
 *
 * @param measures those of the pipeline that made the state
 * @throws InfrastructureError `E_FRAME_CORRUPT` where the state is damaged or holds other measures
 */
export function readMeasures(state: Uint8Array, measures: Measures): Record<string, unknown> {
  const reader = new StateReader(state);
  const declared = Object.entries(measures);
  if (readHead(reader) !== declared.length)
    throw corrupt('it holds another number of measures than the pipeline');
  const values = declared.map(([name, measure]): [string, unknown] => {
    const kind = readKind(reader);
    if (kind !== kinds[measure.kind]) throw corrupt(`${name} is a measure of another kind`);
    return [name, kind.read(reader)];
  });
  reader.end();
  return Object.fromEntries(values);
}

export function writeStateHead(out: StateWriter, measures: number): void {
  out.byte(STATE_FORMAT);
  out.count(measures);
}

function readHead(state: StateReader): number {
  const format = state.byte();
  if (format !== STATE_FORMAT) throw corrupt(`its format is ${format}, not ${STATE_FORMAT}`);
  return state.count();
}

function readKind(state: StateReader): Kind {
  const kind = kindsByTag[state.byte()];
  if (kind === undefined) throw corrupt('it holds an unknown kind of measure');
  return kind;
}
