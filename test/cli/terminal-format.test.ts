import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  columnFormat,
  formatByteRate,
  formatBytes,
  formatCount,
  formatDuration,
  formatNumber,
  formatPercentage,
  formatPlural,
  formatRoughDuration,
} from '../../src/entrypoints/cli/terminal/format.ts';

describe('numbers for people', () => {
  it.each([
    [formatCount(1_234_567), '1,234,567'],
    [formatCount(0), '0'],
    [formatCount(-0.2), '0'],
    [formatCount(12_345_678_901_234_567_890n), '12,345,678,901,234,567,890'],
    [formatCount(Number.NaN), '–'],
    [formatNumber(Number.NEGATIVE_INFINITY), '-∞'],
    [formatNumber(0.012_345_6), '0.01235'],
    [formatNumber(12.345_6), '12.35'],
    [formatNumber(1_234.56), '1,235'],
    [formatNumber(1_234_567), '1,234,567'],
    [formatBytes(512), '512 B'],
    [formatBytes(999), '999 B'],
    [formatBytes(1_000), '1.0 kB'],
    [formatBytes(999_949), '999.9 kB'],
    [formatBytes(999_950), '1.0 MB'],
    [formatBytes(41_234_567), '41.2 MB'],
    [formatBytes(3e18), '3,000.0 PB'],
    [formatByteRate(41_234_567), '41.2 MB/s'],
    [formatByteRate(1_041_234_567), '1,041.2 MB/s'],
    [formatDuration(0.84), '0.84 s'],
    [formatDuration(0.999), '1.0 s'],
    [formatDuration(12.34), '12.3 s'],
    [formatDuration(59.97), '1 min 00 s'],
    [formatDuration(65), '1 min 05 s'],
    [formatDuration(3_599.6), '1 h 00 min'],
    [formatDuration(7_380), '2 h 03 min'],
    [formatDuration(97 * 3_600), '4 d 01 h'],
    [formatRoughDuration(7.2), '8 s'],
    [formatRoughDuration(59.6), '1 min 00 s'],
    [formatPercentage(0.4123), '41.2%'],
    [formatPercentage(1), '100.0%'],
    [formatPercentage(0.99999), '99.9%'],
    [formatPercentage(0.00001), '<0.1%'],
    [formatPercentage(0), '0.0%'],
    [formatPercentage(0 / 0), '–'],
    [formatPlural(1, 'object'), '1 object'],
    [formatPlural(2_000, 'object'), '2,000 objects'],
  ])('%s', (text, expected) => {
    expect(text).toBe(expected);
  });

  it('gives the values of a column the same decimals', () => {
    expect([1, 22.5, -0.001].map(columnFormat([1, 22.5, -0.001]))).toEqual(['1.00', '22.50', '0.00']);
    expect([1, 300.25].map(columnFormat([1, 300.25]))).toEqual(['1.0', '300.3']);
    expect([1, 22].map(columnFormat([1, 22]))).toEqual(['1', '22']);
    expect([0.5, 1_000.5].map(columnFormat([0.5, 1_000.5]))).toEqual(['1', '1,001']);
    expect([0.0004, 0.002].map(columnFormat([0.0004, 0.002]))).toEqual(['0.00040', '0.00200']);
  });

  it('never shows a thousand of a unit that has a next one', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 9e17, noNaN: true }), (bytes) => {
        const value = Number(formatBytes(bytes).split(' ')[0]);
        expect(value).toBeLessThan(1_000);
      }),
    );
  });
});
