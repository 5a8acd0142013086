import type { Format } from '../../domain/pipeline.ts';
import { csvDecoder } from './csv/decoder.ts';
import type { Decoder } from './decoder.ts';
import { jsonDecoder } from './json/json-decoder.ts';
import { jsonLinesDecoder } from './json/json-lines-decoder.ts';

export { detect, type Detected, type Forced } from './detect.ts';

/** The reader of a format. Parquet's is loaded when it is first asked for: readers of text need not wait for it. */
export async function decoderFor(format: Format): Promise<Decoder> {
  switch (format) {
    case 'csv':
      return csvDecoder;
    case 'jsonl':
      return jsonLinesDecoder;
    case 'json':
      return jsonDecoder;
    case 'parquet':
      return (await import('./parquet/decoder.ts')).parquetDecoder;
  }
}
