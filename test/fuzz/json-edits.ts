import fc from 'fast-check';

/** A change of one value within a JSON text, wherever the text is JSON still. */
export interface JsonEdit {
  readonly kind: 'json';
  /** Which value, counted from the outside to the inside; what is left over begins again. */
  readonly at: number;
  readonly change: 'replace' | 'remove' | 'add' | 'copy';
  /** JSON text of what comes in. */
  readonly value: string;
  /** Name of a field that is added. */
  readonly name: string;
}

const DEEP = `${'['.repeat(300)}${']'.repeat(300)}`;

const values = [
  'null',
  'true',
  'false',
  '0',
  '-1',
  '1',
  '1.5',
  '1e308',
  '-0',
  '9007199254740993',
  '9007199254740991',
  '1e400',
  '""',
  '"x"',
  '"0"',
  '"-1"',
  '"\\u0000"',
  '"\\ud800"',
  '"\\n"',
  '"../.."',
  '"__proto__"',
  '"%"',
  '"%ZZ"',
  '"1e9"',
  '"NaN"',
  '[]',
  '{}',
  '[[]]',
  '[null]',
  '{"__proto__":{"x":1}}',
  '{"constructor":1}',
  '{"then":1}',
  '{"length":1e9}',
  '{"toJSON":1}',
  DEEP,
];
const names = [
  '__proto__',
  'constructor',
  'toString',
  'then',
  '',
  'x',
  '$x',
  '$not',
  '$in',
  'length',
  'kind',
  'format',
  'payload',
  'failure',
];

export const jsonEdit: fc.Arbitrary<JsonEdit> = fc.record({
  kind: fc.constant('json'),
  at: fc.nat({ max: 10_000 }),
  change: fc.constantFrom('replace', 'replace', 'remove', 'add', 'copy'),
  value: fc.constantFrom(...values),
  name: fc.constantFrom(...names),
});

/** A value and where it hangs; the outermost hangs in a list of its own. */
interface Node {
  readonly parent: Record<string, unknown> | unknown[];
  readonly key: string | number;
}

export function editJson(edit: JsonEdit, bytes: Uint8Array): Uint8Array {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return bytes;
  }
  const root = [value];
  const nodes = nodesOf(root);
  const { parent, key } = nodes[edit.at % nodes.length] as Node;
  const inner = (parent as Record<string | number, unknown>)[key];
  const incoming: unknown = JSON.parse(edit.value);
  if (edit.change === 'replace') put(parent, key, incoming);
  else if (edit.change === 'remove') remove(parent, key);
  else if (edit.change === 'copy') put(parent, key, copyOf(nodes, edit));
  else if (Array.isArray(inner)) inner.push(incoming);
  else if (typeof inner === 'object' && inner !== null)
    put(inner as Record<string, unknown>, edit.name, incoming);
  else put(parent, key, { [edit.name]: incoming });
  return new Uint8Array(Buffer.from(JSON.stringify(root[0]) ?? 'null', 'utf8'));
}

function nodesOf(root: unknown[]): Node[] {
  const nodes: Node[] = [{ parent: root, key: 0 }];
  for (let at = 0; at < nodes.length; at++) {
    const { parent, key } = nodes[at] as Node;
    const value = (parent as Record<string | number, unknown>)[key];
    if (typeof value !== 'object' || value === null) continue;
    for (const name of Object.keys(value))
      nodes.push({
        parent: value as Record<string, unknown>,
        key: Array.isArray(value) ? Number(name) : name,
      });
  }
  return nodes;
}

function put(parent: Node['parent'], key: string | number, value: unknown): void {
  Object.defineProperty(parent, key, { value, enumerable: true, configurable: true, writable: true });
}

function remove(parent: Node['parent'], key: string | number): void {
  if (Array.isArray(parent)) parent.splice(Number(key), 1);
  else delete parent[key];
}

/** Another value of the same text: as it stands where the edit leads to, so that nothing hangs in itself. */
function copyOf(nodes: readonly Node[], { at }: JsonEdit): unknown {
  const { parent, key } = nodes[(at * 7 + 3) % nodes.length] as Node;
  return JSON.parse(JSON.stringify((parent as Record<string | number, unknown>)[key]) ?? 'null');
}
