import type { Plugin } from 'esbuild';

/** A module that a bundle has something else for, with the same exports. */
export interface Replacement {
  /** Its file. */
  readonly file: RegExp;
  /** JavaScript; what it imports is looked for from the file's folder. */
  readonly contents: string;
}

export function replacing(name: string, replacements: readonly Replacement[]): Plugin {
  return {
    name,
    setup(build) {
      for (const { file, contents } of replacements)
        build.onLoad({ filter: file }, () => ({ contents, loader: 'js' }));
    },
  };
}
