/** The modules that workers run, beside this one: TypeScript in the repository, JavaScript in the package. */
const at = (name: string) =>
  new URL(`./${name}${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);

export const threadEntry = at('transform-thread');
export const processEntry = at('transform-process');
