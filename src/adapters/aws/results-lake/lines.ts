import { Buffer } from 'node:buffer';
import type { Failure } from '../../../domain/failure.ts';
import type { Effects, Flag, GroupState, MergeStates } from '../../../domain/ports/result-store.ts';

interface FlagLine {
  readonly flag: Flag;
}

interface GroupLine {
  readonly group: string;
  readonly state: string;
}

/** What an object adds to the results. */
export interface StoredEffects {
  readonly groups: readonly GroupState[];
  readonly flags: readonly Flag[];
}

/** Groups, one line each, then flags. Groups of the same name are merged. */
export function effectLines(
  { groups, flags }: Pick<Effects, 'groups' | 'flags'>,
  mergeStates: MergeStates,
): readonly (GroupLine | FlagLine)[] {
  const merged = new Map<string, Uint8Array>();
  for (const group of groups) addGroup(merged, group, mergeStates);
  return [
    ...[...merged].map(([group, state]) => ({ group, state: toBase64(state) })),
    ...flags.map((flag) => ({ flag })),
  ];
}

export function addGroup(
  groups: Map<string, Uint8Array>,
  { group, state }: GroupState,
  mergeStates: MergeStates,
): void {
  const name = group.toWellFormed();
  const known = groups.get(name);
  groups.set(name, known === undefined ? state : mergeStates(known, state));
}

export function storedEffects(lines: readonly unknown[]): StoredEffects {
  const groups: GroupState[] = [];
  const flags: Flag[] = [];
  for (const line of lines as readonly (GroupLine | FlagLine)[]) {
    if ('flag' in line) flags.push(line.flag);
    else groups.push({ group: line.group, state: fromBase64(line.state) });
  }
  return { groups, flags };
}

export type StoredFailure = Omit<Failure, 'payload'> & { readonly payload: string | null };

export function storedFailure(failure: Failure): StoredFailure {
  return { ...failure, payload: failure.payload === null ? null : toBase64(failure.payload) };
}

export function failureOf(stored: StoredFailure): Failure {
  return { ...stored, payload: stored.payload === null ? null : fromBase64(stored.payload) };
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

/** Plain bytes of their own: small buffers share a pool. */
function fromBase64(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'));
}
