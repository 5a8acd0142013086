import { inspect } from 'node:util';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  digestOf,
  encodeBody,
  packFrame,
  unpackFrame,
  type FrameDraft,
} from '../../src/application/frames/frame-codec.ts';
import { createMessageEncoding } from '../../src/application/frames/encodings.ts';
import { fromTaggedJson, toTaggedJson } from '../../src/application/values/tagged-json.ts';
import { encodeValue } from '../../src/application/values/value-writer.ts';
import type { Failure } from '../../src/domain/failure.ts';
import type { FrameBody, FrameOrigin, KeyedBody } from '../../src/domain/frame.ts';
import type { FrameCodec } from '../../src/domain/pipeline.ts';
import { codeOfAsync, nested } from '../values/damage.ts';
import { anyMessage, arrivedAs } from '../values/plain-data.ts';

const object = { bucket: 'lake', key: 'a/ü b.csv', version: 'v1', size: 10 };
const codecs: readonly FrameCodec[] = ['packed', 'json'];

const described = (codec: FrameCodec) =>
  ({
    generation: 'p@1',
    build: 'b1',
    run: 'r1',
    origin: { kind: 'section', object, section: 3, number: 2, epoch: 1, reach: 70 },
    partition: 7,
    codec,
  }) as const;

function messagesDraft(codec: FrameCodec, messages: readonly unknown[]): FrameDraft {
  const encoding = createMessageEncoding(codec);
  const body = encoding.startBody();
  messages.forEach((message, index) => body.add(encoding.encode(message), index * 3, index % 2));
  const bytes = body.finish();
  return { ...described(codec), body: 'messages', bytes, digest: digestOf(bytes) };
}

/** Where the bodies come from that no section has. */
const origins: { readonly [Kind in FrameBody['kind']]?: FrameOrigin } = {
  keyed: { kind: 'keyed', source: 'pipe' },
  redrive: { kind: 'redrive', failure: 'f1' },
};

const bodyDraft = (codec: FrameCodec, body: Exclude<FrameBody, { kind: 'messages' }>): FrameDraft => ({
  ...described(codec),
  origin: origins[body.kind] ?? described(codec).origin,
  body: body.kind,
  ...encodeBody(body, codec),
});

const failure: Failure = {
  id: 'f1',
  position: { kind: 'row', object, coordinate: 5, output: null },
  stage: 'transform',
  code: 'E_TRANSFORM',
  message: 'no lane at 0x7f31',
  rows: 1,
  payload: Uint8Array.of(1, 2, 3),
};

const record = {
  section: 3,
  last: true,
  next: 99,
  rows: 4,
  pruned: 0,
  filtered: 1,
  failed: 1,
  transformed: 2,
  messages: 3,
  frames: [[7, 1]],
} as const;

describe.each(codecs)('a %s frame', (codec) => {
  it('arrives with its header and its messages', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyMessage, { maxLength: 8 }), async (messages) => {
        const packed = await packFrame(messagesDraft(codec, messages));
        const { header, body } = await unpackFrame(packed.bytes);
        expect(header).toEqual(packed.header);
        expect(header).toMatchObject({ format: 2, ...described(codec), body: 'messages' });
        if (body.kind !== 'messages') throw new Error(body.kind);
        expect(body.coordinates).toEqual(messages.map((_, index) => index * 3));
        messages.forEach((message, index) => expect(arrivedAs(message, body.messages[index])).toBe(true));
      }),
    );
  });

  it('arrives with failures, a section record, keyed entries or a redrive', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyMessage, { maxLength: 4 }), async (messages) => {
        const bodies: readonly Exclude<FrameBody, { kind: 'messages' }>[] = [
          { kind: 'failures', failures: [failure, { ...failure, payload: null }] },
          { kind: 'section', record },
          {
            kind: 'keyed',
            entries: [
              { key: 'k\ud800', time: 1_558_776_000_000, messages, filtered: false, failure: null },
              { key: 'l', time: null, messages: [], filtered: false, failure },
            ],
          },
          {
            kind: 'redrive',
            position: failure.position,
            outputs: messages.map((_, index) => index),
            messages,
            failure: null,
            payload: failure.payload,
          },
        ];
        for (const sent of bodies) {
          const { body } = await unpackFrame((await packFrame(bodyDraft(codec, sent))).bytes);
          expect(arrivedAs(sent, body)).toBe(true);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('takes a message of the greatest depth, whatever wraps it', async () => {
    const deep = nested(100);
    const keyed = bodyDraft(codec, {
      kind: 'keyed',
      entries: [{ key: 'k', time: null, messages: [deep], filtered: false, failure: null }],
    });
    const { body } = await unpackFrame((await packFrame(keyed)).bytes);
    expect(arrivedAs(deep, (body as KeyedBody).entries[0]?.messages[0])).toBe(true);
  });

  it('tells damage as damage, wherever a bit flips and wherever it is cut off', async () => {
    const drafts = [
      messagesDraft(codec, [{ lane: 'ZRH-JFK', delay: 3.5 }, { lane: 'JFK-ZRH', delay: 0, late: true }, 7]),
      bodyDraft(codec, { kind: 'failures', failures: [failure] }),
      bodyDraft(codec, { kind: 'section', record }),
    ];
    for (const draft of drafts) {
      const { bytes, header } = await packFrame(draft);
      for (let at = 0; at < bytes.length; at++) {
        const damaged = Uint8Array.from(bytes);
        damaged[at]! ^= 1 << (at % 8);
        const frame = await unpackFrame(damaged).catch((thrown: unknown) => thrown as { code?: string });
        if ('header' in frame) {
          // Bytes that mean nothing: time and system in the head of gzip, the level in that of zstd.
          expect(frame.header).toEqual(header);
          expect(frame.body).toEqual((await unpackFrame(bytes)).body);
        } else expect(frame.code).toBe('E_FRAME_CORRUPT');
      }
      for (let at = 0; at < bytes.length; at += 3) {
        expect(await codeOfAsync(unpackFrame(bytes.subarray(0, at)))).toBe('E_FRAME_CORRUPT');
      }
    }
  });

  it('refuses a body that belongs to another digest, kind or format', async () => {
    const draft = messagesDraft(codec, [1, 2]);
    const other = messagesDraft(codec, [1, 3]);
    const codeOfDraft = async (wrong: FrameDraft) => codeOfAsync(unpackFrame((await packFrame(wrong)).bytes));
    expect(await codeOfDraft(draft)).toBe(undefined);
    expect(await codeOfDraft({ ...draft, bytes: other.bytes })).toBe('E_FRAME_CORRUPT');
    expect(await codeOfDraft({ ...draft, body: 'section' })).toBe('E_FRAME_CORRUPT');
    expect(await codeOfDraft({ ...bodyDraft(codec, { kind: 'section', record }), body: 'messages' })).toBe(
      'E_FRAME_CORRUPT',
    );
    expect(await codeOfDraft({ ...draft, format: 1 } as unknown as FrameDraft)).toBe('E_FRAME_CORRUPT');
    expect(await codeOfAsync(unpackFrame(Buffer.from('{"not":"a frame"}')))).toBe('E_FRAME_CORRUPT');
    expect(await codeOfAsync(unpackFrame(new Uint8Array()))).toBe('E_FRAME_CORRUPT');
  });

  it.each<[string, object]>([
    ['no origin', { origin: null }],
    ['an origin that its body cannot have', { origin: { kind: 'keyed', source: 'pipe' } }],
    ['a section without a number', { origin: { ...described(codec).origin, section: '3' } }],
    ['an object without a key', { origin: { ...described(codec).origin, object: { bucket: 'lake' } } }],
    ['no build', { build: 7 }],
    ['a partition that is none', { partition: -1 }],
    ['a body of no kind', { body: 'toString' }],
  ])('tells a header with %s as damage, whatever its checksum says', async (_, changes) => {
    const draft = { ...messagesDraft(codec, [1]), ...changes } as FrameDraft;
    expect(await codeOfAsync(unpackFrame((await packFrame(draft)).bytes))).toBe('E_FRAME_CORRUPT');
  });

  it.each<[string, object]>([
    ['failures that are no list', { kind: 'failures' }],
    ['a failure without a position', { kind: 'failures', failures: [{ ...failure, position: null }] }],
    ['a failure of no stage', { kind: 'failures', failures: [{ ...failure, stage: 'elsewhere' }] }],
    ['a payload that is no bytes', { kind: 'failures', failures: [{ ...failure, payload: 'text' }] }],
    ['a section record without frames', { kind: 'section', record: { ...record, frames: undefined } }],
    ['a section record of -1 rows', { kind: 'section', record: { ...record, rows: -1 } }],
    [
      'an entry without a key',
      { kind: 'keyed', entries: [{ messages: [], time: null, filtered: false, failure: null }] },
    ],
    [
      'fewer outputs than messages',
      {
        kind: 'redrive',
        position: failure.position,
        outputs: [],
        messages: [1],
        failure: null,
        payload: null,
      },
    ],
  ])('tells %s as damage, whatever its digest says', async (_, body) => {
    const kind = (body as FrameBody).kind;
    const bytes =
      codec === 'packed' ? encodeValue(body, -4) : Buffer.from(`${toTaggedJson(body, -4)}\n`, 'utf8');
    const draft = {
      ...described(codec),
      origin: origins[kind] ?? described(codec).origin,
      body: kind,
      bytes,
      digest: digestOf(encodeValue(body, -4)),
    };
    expect(await codeOfAsync(unpackFrame((await packFrame(draft)).bytes))).toBe('E_FRAME_CORRUPT');
  });

  it('says nothing of its data where it is damaged', async () => {
    const { bytes } = bodyDraft(codec, { kind: 'failures', failures: [{ ...failure, message: 'canary' }] });
    const damaged = { ...bodyDraft(codec, { kind: 'failures', failures: [] }), bytes: bytes.slice(0, -9) };
    const thrown = await unpackFrame((await packFrame(damaged)).bytes).catch((error: unknown) => error);
    expect(inspect(thrown, { depth: 9 })).not.toContain('canary');
    expect(thrown).toMatchObject({ code: 'E_FRAME_CORRUPT' });
  });

  it('has a digest that leaves out the texts of failures, and nothing else of them', () => {
    const digest = (changed: Partial<Failure>) =>
      encodeBody({ kind: 'failures', failures: [{ ...failure, ...changed }] }, codec).digest;
    expect(digest({ message: 'no lane at 0x8000' })).toBe(digest({}));
    const others = [
      { id: 'f2' },
      { stage: 'read' },
      { code: 'E_X' },
      { rows: 2 },
      { payload: null },
    ] as const;
    expect(new Set([{}, ...others].map(digest)).size).toBe(others.length + 1);
  });

  it('has a digest of everything that its section record counts', () => {
    const digest = (changed: object) =>
      encodeBody({ kind: 'section', record: { ...record, ...changed } }, codec).digest;
    const others = [
      ...Object.entries(record).flatMap(([name, value]) =>
        typeof value === 'number' ? [{ [name]: value + 1 }] : [],
      ),
      { last: false },
      { frames: [[7, 2]] },
      { frames: [[6, 1]] },
      { frames: [] },
    ];
    expect(new Set([{}, ...others].map(digest)).size).toBe(others.length + 1);
  });
});

it('has the same digest in whatever run, build, partition and number', () => {
  const { digest } = messagesDraft('packed', [{ a: 1 }]);
  expect(messagesDraft('packed', [{ a: 1 }]).digest).toBe(digest);
  expect(encodeBody({ kind: 'section', record }, 'json').digest).toBe(
    encodeBody({ kind: 'section', record }, 'packed').digest,
  );
});

describe('a json frame', () => {
  it('is read by a reader that has gunzip and JSON.parse, line by line', async () => {
    const messages = [
      { lane: 'ZRH-JFK', delay: 3.5 },
      'text\nwith a newline',
      [1, null],
      { at: new Date(0) },
    ];
    const { bytes } = await packFrame(messagesDraft('json', messages));
    const lines = gunzipSync(bytes).toString('utf8').split('\n');
    expect(lines.pop()).toBe('');
    const [header, positions, ...rows] = lines.map((line) => JSON.parse(line) as unknown);
    expect(header).toMatchObject({ generation: 'p@1', codec: 'json', compression: 'gzip', body: 'messages' });
    expect(positions).toEqual({ coordinates: [0, 3, 6, 9], outputs: [0, 1, 0, 1] });
    expect(rows).toEqual([...messages.slice(0, 3), { at: { $date: '1970-01-01T00:00:00.000Z' } }]);

    const failed = await packFrame(bodyDraft('json', { kind: 'failures', failures: [failure] }));
    const [, body] = gunzipSync(failed.bytes).toString('utf8').split('\n');
    expect(fromTaggedJson(body as string)).toEqual({ kind: 'failures', failures: [failure] });
  });
});
