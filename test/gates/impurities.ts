import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const allowedGlobals = fileURLToPath(new URL('allowed-globals.d.ts', import.meta.url));

/** What gives another answer another time, or on a machine with another time zone or language. */
const impure = new Set([
  'Math.random',
  'DateConstructor.now',
  ...['Date', 'Day', 'FullYear', 'Hours', 'Milliseconds', 'Minutes', 'Month', 'Seconds'].flatMap((part) => [
    `Date.get${part}`,
    `Date.set${part}`,
  ]),
  'Date.getTimezoneOffset',
  'Date.toString',
  'Date.toDateString',
  'Date.toTimeString',
  'Date.toLocaleString',
  'Date.toLocaleDateString',
  'Date.toLocaleTimeString',
  'Number.toLocaleString',
  'BigInt.toLocaleString',
  'String.localeCompare',
  'String.toLocaleLowerCase',
  'String.toLocaleUpperCase',
]);

/**
 * What a folder of sources uses beside itself and the pure part of ECMAScript, as `file:line: what`. Node's globals
 * (`process`, `fetch`, timers, `performance`, `crypto`, `console`) are not declared here, so each is a type error.
 */
export function impurities(folder: string): string[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name));
  const program = ts.createProgram([...files, allowedGlobals], {
    target: ts.ScriptTarget.ES2024,
    lib: ['lib.es2024.d.ts', 'lib.esnext.disposable.d.ts'],
    module: ts.ModuleKind.NodeNext,
    types: [],
    strict: true,
    noEmit: true,
    allowImportingTsExtensions: true,
  });
  const checker = program.getTypeChecker();
  const found: string[] = [];
  const report = (source: ts.SourceFile, position: number, what: string): void => {
    const { line } = source.getLineAndCharacterOfPosition(position);
    found.push(`${relative(folder, source.fileName)}:${line + 1}: ${what}`);
  };

  for (const { file, start, messageText } of ts.getPreEmitDiagnostics(program)) {
    const text = ts.flattenDiagnosticMessageText(messageText, ' ');
    if (file === undefined) found.push(text);
    else report(file, start ?? 0, text);
  }
  for (const source of program.getSourceFiles()) {
    if (!files.includes(source.fileName)) continue;
    const visit = (node: ts.Node): void => {
      if (ts.isIdentifier(node)) {
        const name = qualifiedName(checker.getSymbolAtLocation(node));
        if (impure.has(name)) report(source, node.getStart(), name);
        if (name === 'Intl' || name === 'globalThis') report(source, node.getStart(), name);
      }
      const dateWithoutTime =
        (ts.isNewExpression(node) && (node.arguments ?? []).length === 0) || ts.isCallExpression(node);
      if (dateWithoutTime && checker.getTypeAtLocation(node.expression).symbol?.name === 'DateConstructor') {
        report(source, node.getStart(), ts.isNewExpression(node) ? 'new Date()' : 'Date()');
      }
      ts.forEachChild(node, visit);
    };
    visit(source);
  }
  return found;
}

/** `Interface.member` of what ECMAScript itself declares, `''` of everything else. */
function qualifiedName(symbol: ts.Symbol | undefined): string {
  const declaration = symbol?.declarations?.[0];
  if (symbol?.name === 'globalThis') return 'globalThis';
  if (symbol === undefined || declaration === undefined) return '';
  if (!/[/\\]lib\.es[^/\\]*\.d\.ts$/.test(declaration.getSourceFile().fileName)) return '';
  const { parent } = declaration;
  return ts.isInterfaceDeclaration(parent) ? `${parent.name.text}.${symbol.name}` : symbol.name;
}
