import { Buffer } from 'node:buffer';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { decoderFor, detect } from '../../../src/application/formats/index.ts';
import { memoryObject, never } from './lake-text.ts';

function detected(content: string | Uint8Array, key = 'part-0001', forced = {}) {
  return detect(memoryObject(content, [5, 70_000], key), forced, never);
}

describe('detection', () => {
  it.each([
    ['a,b\n1,2\n', 'x', 'csv'],
    ['\ufeffa\tb\n', 'x.tsv', 'csv'],
    ['', 'x', 'csv'],
    ['{"a":1}\n{"a":2}\n', 'x', 'jsonl'],
    ['{"a":1}\r\n{"a":2', 'x.json', 'jsonl'],
    ['{"a":1}', 'x.ndjson', 'jsonl'],
    ['', 'x.jsonl', 'jsonl'],
    ['{"a":1}\n', 'x', 'json'],
    ['{\n "a": 1\n}\n', 'x', 'json'],
    [`{"a":[\n{"x":1},\n{"x":2}\n]}`, 'x', 'json'],
    ['{"a":\n{"b":1}\n{"c":1}\n', 'x', 'jsonl'],
    [' \n[{"a":1}]', 'x.json', 'json'],
    ['[{"a":1}]', 'x', 'json'],
    ['[a],b\n1,2', 'x.csv', 'csv'],
    ['PAR1....', 'x', 'parquet'],
  ])('%j named %s is %s', async (content, key, format) => {
    expect(await detected(content, key)).toEqual({ format, compression: 'none' });
    if (format === 'parquet' || content === '') return;
    expect(await detected(gzipSync(content), `${key}.gz`)).toEqual({ format, compression: 'gzip' });
    expect(await detected(zstdCompressSync(content), key)).toEqual({ format, compression: 'zstd' });
  });

  it('the content decides whether it is compressed, not the name', async () => {
    expect(await detected('a,b\n', 'x.csv.gz')).toEqual({ format: 'csv', compression: 'none' });
    const skippable = Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]);
    expect(await detected(Buffer.concat([skippable, zstdCompressSync('[{}]')]))).toEqual({
      format: 'json',
      compression: 'zstd',
    });
  });

  it('a cut stream still tells its format', async () => {
    const stored = gzipSync('{"a":1}\n'.repeat(1_000) + Math.E);
    expect(await detected(stored.subarray(0, stored.length - 12))).toEqual({
      format: 'jsonl',
      compression: 'gzip',
    });
  });

  it('what is declared is believed', async () => {
    expect(await detected('a,b', 'x', { format: 'jsonl' })).toEqual({ format: 'jsonl', compression: 'none' });
    expect(await detected(gzipSync('[1]'), 'x', { format: 'csv' })).toEqual({
      format: 'csv',
      compression: 'gzip',
    });
    expect(await detected(gzipSync('[1]'), 'x', { format: 'csv', compression: 'none' })).toEqual({
      format: 'csv',
      compression: 'none',
    });
    expect(await detected('BZh91AY&SY', 'x.csv', { compression: 'none' })).toEqual({
      format: 'csv',
      compression: 'none',
    });
    expect(await detected('', 'x', { format: 'parquet' })).toEqual({
      format: 'parquet',
      compression: 'none',
    });
  });

  it.each([
    [Buffer.from('BZh91AY&SY....', 'latin1'), 'x.csv.bz2', 'E_COMPRESSION_UNSUPPORTED', 'bzip2'],
    [Buffer.from('fd377a585a0000', 'hex'), 'x', 'E_COMPRESSION_UNSUPPORTED', 'xz'],
    [Buffer.from('504b030414000000', 'hex'), 'x', 'E_COMPRESSION_UNSUPPORTED', 'zip'],
    [Buffer.from('04224d18', 'hex'), 'x', 'E_COMPRESSION_UNSUPPORTED', 'lz4'],
    [Buffer.from('ff060000734e61507059', 'hex'), 'x', 'E_COMPRESSION_UNSUPPORTED', 'snappy'],
    [Buffer.from('abc'), 'x.csv.snappy', 'E_COMPRESSION_UNSUPPORTED', 'snappy'],
    [Buffer.from([0x61, 0, 0, 0x62]), 'x.csv', 'E_FORMAT_UNKNOWN', 'binary'],
    [Buffer.from('Obj\x01\x04\x16\x00', 'latin1'), 'x', 'E_FORMAT_UNKNOWN', 'Avro'],
    [Buffer.from('nothing of the kind'), 'x.parquet', 'E_FORMAT_UNKNOWN', 'Parquet'],
    [gzipSync('PAR1....'), 'x', 'E_FORMAT_UNKNOWN', 'Parquet'],
  ])('refuses %s named %s: %s, naming %s', async (content, key, code, name) => {
    await expect(detected(content, key)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(name),
    });
  });

  it('there is a decoder for every format', async () => {
    for (const format of ['csv', 'jsonl', 'json', 'parquet'] as const)
      expect((await decoderFor(format)).format).toBe(format);
  });
});
