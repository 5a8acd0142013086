import { gzipSync, zstdCompressSync } from 'node:zlib';
import { decoderFor, detect } from '../../../src/application/formats/index.ts';
import { memoryObject, never } from '../../formats/text/lake-text.ts';
import { outcomeOf } from '../refusal.ts';
import { agree, must, type Target } from '../target.ts';
import { boundedOptions, chunksOf } from '../text-reading.ts';

const REFUSED = ['E_FORMAT_UNKNOWN', 'E_COMPRESSION_UNSUPPORTED', 'E_COMPRESSED_CORRUPT'];
const UNREADABLE = ['E_CSV_QUOTE', 'E_UTF8', 'E_ROW_TOO_LARGE', 'E_COMPRESSED_CORRUPT', 'E_PARQUET'];
/** What is read of an object, in batches: a bomb has more than anybody waits for. */
const BATCHES = 20;

/**
 * Detection against itself: it says the same however the bytes come, under any name that says nothing; and what it detected is
 * opened by that format's decoder without another error than those of damaged objects. The readers have targets of their own.
 */
export const detectTarget: Target = {
  name: 'detect',
  share: 2,
  isJson: false,
  tokens: [
    'PAR1',
    'Obj\x01',
    'ORC',
    '%PDF-',
    '\x1f\x8b',
    '\x28\xb5\x2f\xfd',
    'PK\x03\x04',
    'BZh91AY&SY',
    '\x1f\x9d',
    '{',
    '[',
    '}\n{',
    '\n',
    '\0',
    '\u00ef\u00bb\u00bf',
    '"',
    ',',
  ],
  open: () => ({
    corpus: [
      'a,b\n1,2\n',
      '{"a":1}\n{"a":2}\n',
      '[{"a":1}]',
      '{\n "a": 1\n}\n',
      'PAR1xxxxxxxxPAR1',
      'a;b\n"1;2";3\n',
    ]
      .flatMap((text) => [Buffer.from(text), gzipSync(text), zstdCompressSync(text)])
      .map((bytes) => new Uint8Array(bytes)),
    async check(input) {
      const named = (chunks: readonly number[]) => memoryObject(input, chunks, 'lake/object');
      const first = await outcomeOf(REFUSED, () => detect(named([64 * 1024]), {}, never));
      agree(
        'detections',
        await outcomeOf(REFUSED, () => detect(named([1, ...chunksOf(input)]), {}, never)),
        first,
      );
      if (first.value === undefined) return 'refused';
      const { format, compression } = first.value;
      const decoder = await decoderFor(format);
      const object = named(chunksOf(input));
      await outcomeOf(UNREADABLE, async () => {
        let batches = 0;
        for await (const _batch of decoder.read(
          object,
          { from: 0, to: null },
          null,
          { ...boundedOptions, compression },
          never,
        ))
          if (++batches > BATCHES) break;
      });
      must(object.open === 0, 'a stream was left open');
      const description = await outcomeOf(UNREADABLE, () =>
        decoder.describe(named([500]), { ...boundedOptions, compression }, never),
      );
      if (description.value !== undefined) agree('formats', description.value.format, format);
      return 'accepted';
    },
  }),
};
