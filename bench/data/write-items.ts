import { createWriteStream, type WriteStream } from 'node:fs';
import { once } from 'node:events';
import { itemColumns } from './item.ts';
import { randomFrom } from './random.ts';

/** A batch of rows is held, written and forgotten, so that data of any size takes the same memory. */
const BATCH_ROWS = 5_000;
const FIRST_ORDER = Date.UTC(2019, 4, 25);

const CATEGORIES = [
  'Bearings',
  'Cables',
  'Displays',
  'Drives',
  'Fasteners',
  'Filters',
  'Hydraulics',
  'Kits & sets',
];
const BRANDS = [
  'Acme',
  'Bösch & Söhne',
  'Hägglunds',
  'Initech',
  'Łódź Tools',
  'Olivetti',
  'Tyrell',
  'Umbrella',
];
const COUNTRIES = ['AT', 'CN', 'CZ', 'DE', 'FR', 'JP', 'KR', 'MX', 'PL', 'SE', 'TR', 'US'];
const CURRENCIES = ['CNY', 'EUR', 'JPY', 'PLN', 'USD'];
const PORTS = ['BUS', 'HAM', 'LAX', 'NRT', 'RTM', 'SHA', 'SIN', 'GDN', 'LAS', 'PUS', 'VER', 'MRS'];
const SUPPLIERS = [
  'Nordwind Großhandel',
  'Müller, Meier & Co',
  'Shenzhen Parts 深圳',
  'Atelier Françoise',
  'Plain Parts Inc',
];
const PARTS = [
  'ball bearing',
  'hex bolt',
  'flat cable',
  'servo drive',
  'oil filter',
  'gear pump',
  'display unit',
];
const COMMENTS = [
  '',
  'handle with care, and keep away from water until it is unpacked at the line',
  'stored upright, never "on its head"; at most four on top of each other',
  'replaces the part before; see the letter of 2019-05-25 to all who have ordered it',
  'Vorsicht: zerbrechlich, nur für geübte Hände; die Prüfung läuft über Wärme und Druck',
  'first line of a note that somebody typed in a hurry\nand its second, with no more in it',
];

export interface ItemsToWrite {
  readonly seed: number;
  /** The first line. */
  readonly from: number;
  readonly rows: number;
  readonly format: 'csv' | 'jsonl';
}

/** Writes items as CSV or JSON Lines: the same bytes from the same seed, and the same rows in both. */
export async function writeItems(place: string, { seed, from, rows, format }: ItemsToWrite): Promise<void> {
  const next = randomFrom(seed + from);
  const file = createWriteStream(place);
  if (format === 'csv') await write(file, `${Object.keys(itemColumns).join(',')}\n`);
  for (let row = from; row < from + rows; row += BATCH_ROWS) {
    const lines = Array.from({ length: Math.min(BATCH_ROWS, from + rows - row) }, (_, index) => {
      const item = itemOf(row + index, next);
      return format === 'csv' ? csvLine(item) : `${JSON.stringify(item)}\n`;
    });
    await write(file, lines.join(''));
  }
  file.end();
  await once(file, 'close');
}

async function write(file: WriteStream, text: string): Promise<void> {
  if (!file.write(text)) await once(file, 'drain');
}

function itemOf(line: number, next: () => number) {
  const below = (limit: number): number => Math.floor(next() * limit);
  const oneOf = <T>(values: readonly T[]): T => values[below(values.length)] as T;
  const supplier = below(5_000);
  const part = oneOf(PARTS);
  const size = 1 + below(400);
  const ordered = FIRST_ORDER + line * 1_000;
  return {
    line,
    item: `ITM-${String(below(8_000_000)).padStart(8, '0')}`,
    description: `${part} ${size} mm × ${1 + below(90)} mm, ${below(4) === 0 ? `${size}" thread, ` : ''}batch ${below(100_000)} of ${oneOf(PORTS)}, drawing ${below(1_000_000)} revision ${below(40)}`,
    category: oneOf(CATEGORIES),
    brand: oneOf(BRANDS),
    supplier: `SUP-${String(supplier).padStart(5, '0')}`,
    supplier_name: `${SUPPLIERS[supplier % SUPPLIERS.length] as string} ${supplier}`,
    warehouse: `WH-${oneOf(PORTS)}-${String(below(40)).padStart(2, '0')}`,
    lane: `${oneOf(PORTS)}-${oneOf(PORTS)}`,
    country: oneOf(COUNTRIES),
    quantity: 1 + below(900),
    unit_price: Math.round(next() * 1e6) / 100,
    currency: oneOf(CURRENCIES),
    weight_kg: Math.round(next() * 50_000) / 1_000,
    volume_m3: Math.round(next() * 10_000) / 10_000,
    ordered_at: new Date(ordered).toISOString(),
    due_at: new Date(ordered + (1 + below(60)) * 86_400_000).toISOString(),
    delay_minutes: below(3) === 0 ? below(4_000) : -below(300),
    fragile: below(5) === 0,
    comment: oneOf(COMMENTS),
  };
}

const NEEDS_QUOTES = /[",\n]/;

function csvLine(item: ReturnType<typeof itemOf>): string {
  const fields = Object.values(item).map((value) => {
    const text = String(value);
    return NEEDS_QUOTES.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  });
  return `${fields.join(',')}\n`;
}
