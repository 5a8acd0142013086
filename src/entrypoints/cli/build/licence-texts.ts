import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

/** A package that is part of a bundle. */
export interface BundledPackage {
  readonly name: string;
  readonly folder: string;
}

const TEXTS = /^(licen[cs]e|notice|copying)/i;

/**
 * The licences of packages, as their authors wrote them: a bundle is a copy of their code, and every licence asks that its text goes with a
 * copy. Comments in the code would not do: few packages have them there.
 */
export async function licenceTexts(packages: readonly BundledPackage[]): Promise<string> {
  const texts = await Promise.all(packages.map(licenceText));
  return texts.join(`\n${'-'.repeat(80)}\n\n`);
}

async function licenceText({ name, folder }: BundledPackage): Promise<string> {
  const { version, license } = JSON.parse(await readFile(path.join(folder, 'package.json'), 'utf8')) as {
    readonly version?: string;
    readonly license?: unknown;
  };
  const files = (await readdir(folder)).filter((file) => TEXTS.test(file)).sort();
  const texts = await Promise.all(files.map((file) => readFile(path.join(folder, file), 'utf8')));
  const declared = typeof license === 'string' ? license : 'see below';
  return [`${name} ${version ?? ''}: ${declared}`, ...texts.map((text) => text.trim())]
    .join('\n\n')
    .concat('\n');
}
