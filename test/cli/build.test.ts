import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { functionNames, type BuildManifest } from '../../src/entrypoints/cli/build/manifest.ts';
import { Scratch } from './harness.ts';
import { pipelineSource } from './shipments.ts';

describe('sluice build', { timeout: 120_000 }, () => {
  test('puts the licences of all that is in a bundle beside it', async () => {
    await using scratch = await Scratch.make();
    await scratch.write('shipments.ts', pipelineSource());
    const { answer: manifest, code } = await scratch.json<BuildManifest>(
      'build',
      'shipments.ts',
      '--out',
      'built',
      '--no-cold-start',
    );
    expect(code).toBe(0);
    for (const name of functionNames) {
      const text = await readFile(scratch.path('built', name, 'licences.txt'), 'utf8');
      const { packages } = manifest.functions[name];
      expect(packages.length).toBeGreaterThan(5);
      const parts = text.split(/^-{80}$/m).map((part) => part.trim());
      expect([...new Set(parts.map((part) => /^\S+/.exec(part)?.[0]))]).toEqual(packages);
      for (const part of parts) expect(part.split('\n')[0]).toMatch(/^\S+ \d+\.\d+\.\d+\S*: \S/);
    }
    const analyze = await readFile(scratch.path('built', 'analyze', 'licences.txt'), 'utf8');
    expect(analyze).toMatch(/^pg \d[^\n]*: MIT\n\nMIT License\n\nCopyright \(c\) 2010/m);
    const transform = await readFile(scratch.path('built', 'transform', 'licences.txt'), 'utf8');
    expect(transform).not.toMatch(/^pg /m);
  });
});
