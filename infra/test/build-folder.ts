import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { functionNames, type BuildManifest } from '../src/manifest.ts';

/** A folder as `sluice build` writes it, with functions that do nothing: the stack only packs them. */
export class BuildFolder implements Disposable {
  readonly path: string;
  readonly manifest: BuildManifest;

  constructor(changes: Partial<BuildManifest> = {}) {
    this.path = mkdtempSync(join(tmpdir(), 'sluice-infra-'));
    this.manifest = {
      pipeline: 'lanes',
      version: 1,
      build: 'b'.repeat(64),
      sluice: '0.1.0',
      partitions: 32,
      maxFrameBytes: 983_040,
      keyed: false,
      without: [],
      functions: Object.fromEntries(
        functionNames.map((name) => [
          name,
          { file: `${name}/index.mjs`, handler: 'index.handler', bytes: 40, gzipBytes: 60 },
        ]),
      ) as BuildManifest['functions'],
      ...changes,
    };
    for (const { file } of Object.values(this.manifest.functions)) {
      mkdirSync(dirname(join(this.path, file)), { recursive: true });
      writeFileSync(join(this.path, file), `export const handler = () => ({});\n`);
    }
    this.write(this.manifest);
  }

  write(manifest: unknown): void {
    writeFileSync(join(this.path, 'manifest.json'), JSON.stringify(manifest));
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true });
  }
}
