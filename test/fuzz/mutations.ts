import fc from 'fast-check';
import { editJson, jsonEdit, type JsonEdit } from './json-edits.ts';
import type { OpenTarget, Target } from './target.ts';

/** Longer inputs tell nothing more and take longer. In bytes. */
const MAX_INPUT_BYTES = 64 * 1024;

/** Lengths and counts at which readers stumble. */
const INTERESTING = [
  0, 1, 2, 7, 8, 0x10, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000,
  0xffff_fffe, 0xffff_ffff,
];

type Edit =
  | { readonly kind: 'flip'; readonly at: number; readonly bit: number }
  | { readonly kind: 'set'; readonly at: number; readonly byte: number }
  | {
      readonly kind: 'number';
      readonly at: number;
      readonly width: 1 | 2 | 4;
      readonly value: number;
      readonly little: boolean;
    }
  | { readonly kind: 'insert'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'erase'; readonly at: number; readonly length: number }
  | { readonly kind: 'cut'; readonly at: number }
  | { readonly kind: 'repeat'; readonly at: number; readonly length: number; readonly times: number }
  | {
      readonly kind: 'splice';
      readonly at: number;
      readonly other: number;
      readonly from: number;
      readonly length: number;
    }
  | JsonEdit;

/** Places are drawn without knowing the input's length: what is left over after its end begins again at its start. */
const place = fc.nat({ max: 2 ** 20 });
const stretch = fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 400 }));

function editOf({ tokens, isJson }: Target): fc.Arbitrary<Edit> {
  const encoded = tokens.map((token) => new Uint8Array(Buffer.from(token, 'latin1')));
  const bytes = fc.oneof(
    ...(encoded.length > 0 ? [{ weight: 3, arbitrary: fc.constantFrom(...encoded) }] : []),
    { weight: 1, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 6 }) },
  );
  const edits: fc.Arbitrary<Edit>[] = [
    fc.record({ kind: fc.constant('flip'), at: place, bit: fc.nat({ max: 7 }) }),
    fc.record({ kind: fc.constant('set'), at: place, byte: fc.nat({ max: 255 }) }),
    fc.record({
      kind: fc.constant('number'),
      at: place,
      width: fc.constantFrom(1, 2, 4),
      value: fc.constantFrom(...INTERESTING),
      little: fc.boolean(),
    }),
    fc.record({ kind: fc.constant('insert'), at: place, bytes }),
    fc.record({ kind: fc.constant('erase'), at: place, length: stretch }),
    fc.record({ kind: fc.constant('cut'), at: place }),
    fc.record({
      kind: fc.constant('repeat'),
      at: place,
      length: stretch,
      times: fc.integer({ min: 1, max: 20 }),
    }),
    fc.record({ kind: fc.constant('splice'), at: place, other: place, from: place, length: stretch }),
  ];
  // Damaged JSON is refused by the parser alone: what is behind it sees damaged values.
  return isJson ? fc.oneof({ weight: 3, arbitrary: jsonEdit }, ...edits) : fc.oneof(...edits);
}

/** Inputs of a target: one of its corpus, with some edits. */
export function mutatedInputs(target: Target, { corpus }: OpenTarget): fc.Arbitrary<Uint8Array> {
  return fc
    .tuple(fc.nat({ max: corpus.length - 1 }), fc.array(editOf(target), { maxLength: 5 }))
    .map(([origin, edits]) => {
      let bytes = corpus[origin] as Uint8Array;
      for (const edit of edits) bytes = applied(edit, bytes, corpus);
      return bytes.length > MAX_INPUT_BYTES ? bytes.subarray(0, MAX_INPUT_BYTES) : bytes;
    });
}

function applied(edit: Edit, bytes: Uint8Array, corpus: readonly Uint8Array[]): Uint8Array {
  if (edit.kind === 'json') return editJson(edit, bytes);
  const at = edit.at % (bytes.length + 1);
  switch (edit.kind) {
    case 'flip':
      return withBytes(bytes, at, [(bytes[at] ?? 0) ^ (1 << edit.bit)]);
    case 'set':
      return withBytes(bytes, at, [edit.byte]);
    case 'number':
      return withBytes(bytes, at, bytesOf(edit.value, edit.width, edit.little));
    case 'insert':
      return joined(bytes.subarray(0, at), edit.bytes, bytes.subarray(at));
    case 'erase':
      return joined(bytes.subarray(0, at), bytes.subarray(at + edit.length));
    case 'cut':
      return bytes.subarray(0, at);
    case 'repeat': {
      const piece = bytes.subarray(at, at + edit.length);
      return joined(
        bytes.subarray(0, at),
        ...Array.from({ length: edit.times }, () => piece),
        bytes.subarray(at),
      );
    }
    case 'splice': {
      const other = corpus[edit.other % corpus.length] as Uint8Array;
      const from = edit.from % (other.length + 1);
      return joined(
        bytes.subarray(0, at),
        other.subarray(from, from + edit.length),
        bytes.subarray(at + edit.length),
      );
    }
  }
}

/** Writes over what is there; nothing where there is nothing. */
function withBytes(bytes: Uint8Array, at: number, values: readonly number[]): Uint8Array {
  const changed = Uint8Array.from(bytes);
  for (const [index, value] of values.entries()) if (at + index < changed.length) changed[at + index] = value;
  return changed;
}

function bytesOf(value: number, width: number, little: boolean): number[] {
  const bytes = Array.from({ length: width }, (_, index) => Math.floor(value / 256 ** index) % 256);
  return little ? bytes : bytes.toReversed();
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
