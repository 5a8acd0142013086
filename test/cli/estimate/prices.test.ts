import { describe, expect, it } from 'vitest';
import { builtInPrices } from '../../../src/entrypoints/cli/estimate/price-list.ts';
import { parsePriceList, pricesOf, priceUnits } from '../../../src/entrypoints/cli/estimate/prices.ts';

const text = (
  change: (list: { asOf: unknown; regions: Record<string, Record<string, unknown>> }) => void,
) => {
  const list = structuredClone(builtInPrices) as unknown as Parameters<typeof change>[0];
  change(list);
  return JSON.stringify(list);
};

describe('the price list', () => {
  it('is dated, and each price that it has was seen somewhere', () => {
    expect(parsePriceList(JSON.stringify(builtInPrices), 'the list')).toEqual(builtInPrices);
    expect(Object.keys(builtInPrices.sources).sort()).toEqual(Object.keys(priceUnits).sort());
    for (const source of Object.values(builtInPrices.sources)) expect(source).toMatch(/^https:\/\//);
  });

  it('names the regions that there are where one is missing', () => {
    expect(() => pricesOf(builtInPrices, 'eu-moon-1', 'the price list of 2026-11-28')).toThrow(
      'the price list of 2026-11-28 has no prices of "eu-moon-1", only of us-east-1; write those of yours into a file (--print-prices shows the form) and give it by --prices',
    );
    expect(() => pricesOf(builtInPrices, 'toString', 'it')).toThrow('has no prices of "toString"');
  });

  it.each([
    ['{', 'my.json is not JSON'],
    ['[]', 'my.json: asOf has to be the day'],
    [text((list) => (list.asOf = 'today')), 'my.json: asOf has to be the day'],
    [text((list) => ((list as { sources?: unknown }).sources = 'AWS')), 'sources has to be an object'],
    [text((list) => (list.regions = {})), 'my.json: regions has to be an object'],
    [
      text((list) => (list.regions['mine'] = [] as never)),
      'my.json: regions.mine has to be an object of prices',
    ],
    [
      text((list) => delete list.regions['us-east-1']!['keyMonth']),
      'my.json: regions.us-east-1.keyMonth has to be the price of a month of a KMS key',
    ],
    [
      text((list) => (list.regions['us-east-1']!['keyMonth'] = -1)),
      'regions.us-east-1.keyMonth has to be the price',
    ],
    [text((list) => (list.regions['us-east-1']!['moon'] = 1)), 'regions.us-east-1.moon is no price'],
  ])('refuses %#', (content, message) => {
    expect(() => parsePriceList(content, 'my.json')).toThrow(
      expect.objectContaining({ code: 'E_PRICES' }) as Error,
    );
    expect(() => parsePriceList(content, 'my.json')).toThrow(message);
  });
});
