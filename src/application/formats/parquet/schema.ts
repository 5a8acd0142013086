import { parquetSchema, type FileMetaData, type SchemaElement, type SchemaTree } from 'hyparquet';
import { columnType, type Columns } from '../../../domain/columns.ts';
import { valueKindOf, type ValueKind } from './values.ts';

/** A stored column. */
export interface Leaf {
  /** Which of a row group's column chunks it is. */
  readonly index: number;
  readonly path: readonly string[];
  readonly element: SchemaElement;
  readonly kind: ValueKind;
  /** Definition level at which a value is there. */
  readonly maxDefinition: number;
  readonly maxRepetition: number;
}

/** A column or a part of one. */
export interface ColumnNode {
  readonly name: string;
  readonly element: SchemaElement;
  /** Definition level at which it is there (a repeated one: has an element). */
  readonly definition: number;
  /** Repetition level at which it repeats, or in which it stands. */
  readonly repetition: number;
  readonly children: readonly ColumnNode[];
  /** The stored columns under it, at least one; of a leaf itself. */
  readonly leaves: readonly Leaf[];
}

/**
 * The top-level columns, by name. A column without any stored column under it does not exist; of two columns of one name
 * the first is read.
 *
 * @throws Error where the schema is damaged
 */
export function columnsOf(
  metadata: FileMetaData,
  declared: Columns | undefined,
): ReadonlyMap<string, ColumnNode> {
  const columns = new Map<string, ColumnNode>();
  let index = 0;
  const nodeOf = (
    tree: SchemaTree,
    definition: number,
    repetition: number,
    type: string | undefined,
  ): ColumnNode => {
    const { element } = tree;
    // What the footer's fields hold is not checked where it is parsed.
    if (typeof element.name !== 'string') throw new Error('a column without a name');
    const ownDefinition = definition + (element.repetition_type === 'REQUIRED' ? 0 : 1);
    const ownRepetition = repetition + (element.repetition_type === 'REPEATED' ? 1 : 0);
    const at = { name: element.name, element, definition: ownDefinition, repetition: ownRepetition };
    if (element.type !== undefined) {
      const leaf: Leaf = {
        index: index++,
        path: tree.path,
        element,
        kind: valueKindOf(element, type),
        maxDefinition: ownDefinition,
        maxRepetition: ownRepetition,
      };
      return { ...at, children: [], leaves: [leaf] };
    }
    const children = tree.children
      .map((child) => nodeOf(child, ownDefinition, ownRepetition, type))
      .filter((child) => child.leaves.length > 0);
    return { ...at, children, leaves: children.flatMap((child) => child.leaves) };
  };
  for (const tree of parquetSchema(metadata).children) {
    const node = nodeOf(tree, 0, 0, columnType(declared, tree.element.name));
    if (node.leaves.length > 0 && !columns.has(node.name)) columns.set(node.name, node);
  }
  return columns;
}

/** One value a row: no lists, no groups. */
export function isFlat(node: ColumnNode): boolean {
  return node.element.type !== undefined && node.repetition === 0;
}

/** The repeated part of a list, if the node is annotated as one. */
export function listElementOf(node: ColumnNode): ColumnNode | undefined {
  const [repeated] = node.children;
  const annotated = node.element.converted_type === 'LIST' || node.element.logical_type?.type === 'LIST';
  return annotated && node.children.length === 1 && repeated?.element.repetition_type === 'REPEATED'
    ? repeated
    : undefined;
}

/** The repeated pairs of a map, if the node is annotated as one and has keys and values. */
export function mapEntriesOf(node: ColumnNode): ColumnNode | undefined {
  const [pairs] = node.children;
  const { converted_type: converted, logical_type: logical } = node.element;
  const annotated = converted === 'MAP' || converted === 'MAP_KEY_VALUE' || logical?.type === 'MAP';
  const isMap = annotated && node.children.length === 1 && pairs?.element.repetition_type === 'REPEATED';
  return isMap && pairs.children.length === 2 ? pairs : undefined;
}

/** For people: `list<string>`, `map<string, int64>`, `struct<a: int32>`. */
export function typeNameOf(node: ColumnNode): string {
  const name = innerTypeNameOf(node);
  return node.element.repetition_type === 'REPEATED' ? `list<${name}>` : name;
}

function innerTypeNameOf(node: ColumnNode): string {
  if (node.element.type !== undefined) return node.leaves[0]!.kind.name;
  const repeated = listElementOf(node);
  if (repeated !== undefined) {
    const element = unwrappedElementOf(node, repeated);
    return `list<${element === undefined ? innerTypeNameOf(repeated) : typeNameOf(element)}>`;
  }
  const pairs = mapEntriesOf(node);
  if (pairs !== undefined) return `map<${pairs.children.map(typeNameOf).join(', ')}>`;
  return `struct<${node.children.map((child) => `${child.name}: ${typeNameOf(child)}`).join(', ')}>`;
}

/** Where the repeated part is only a wrapper, what it wraps; older writers repeat the element itself. */
export function unwrappedElementOf(list: ColumnNode, repeated: ColumnNode): ColumnNode | undefined {
  const legacy = repeated.name === 'array' || repeated.name === `${list.name}_tuple`;
  return repeated.children.length === 1 && !legacy ? repeated.children[0] : undefined;
}
