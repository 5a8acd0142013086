import { isSameBinding } from '../../../domain/applying.ts';
import type { Binding, HeldSection } from '../../../domain/ports/result-store.ts';
import type { LakeFolder } from './folder.ts';
import { endOfSection, sectionFolder, sectionOf, sectionsFolder } from './names.ts';
import type { Plan, SharedSections } from './plans.ts';

const END = 'end.jsonl.gz';

/**
 * What counts of an object, as its plan has it: of each section what lies under the binding that has it, and of the object as a whole what lies under
 * the plan's own.
 */
export class ObjectSections {
  readonly #state: LakeFolder;
  readonly #plan: Plan;

  constructor(state: LakeFolder, plan: Plan) {
    this.#state = state;
    this.#plan = plan;
  }

  bindingOf(section: number): Binding {
    const { build, epoch } =
      this.#shared.find(({ ranges }) => ranges.some(([from, to]) => from <= section && section <= to)) ??
      this.#plan;
    return { build, epoch };
  }

  /** Of something of a section or of the object, from the state's folder on. */
  pathOf(name: string): string {
    const section = sectionOf(name);
    return `${this.#folderName(section === null ? this.#plan : this.bindingOf(section))}${name}`;
  }

  read(name: string, signal: AbortSignal): Promise<readonly unknown[] | undefined> {
    return this.#state.read(this.pathOf(name), signal);
  }

  write(name: string, lines: readonly unknown[], signal: AbortSignal): Promise<void> {
    return this.#state.write(this.pathOf(name), lines, signal);
  }

  create(name: string, lines: readonly unknown[], signal: AbortSignal): Promise<boolean> {
    return this.#state.create(this.pathOf(name), lines, signal);
  }

  /** Names of all that counts of a section. */
  namesOf(section: number, signal: AbortSignal): Promise<string[]> {
    return this.#folderOf(this.bindingOf(section)).names(sectionFolder(section), signal);
  }

  /** Names of all that counts of the sections, and of nothing else that lies beside it. */
  async names(signal: AbortSignal): Promise<readonly string[]> {
    const all: string[] = [];
    for (const binding of [this.#plan, ...this.#shared]) {
      const names = await this.#folderOf(binding).names('s=', signal);
      all.push(...names.filter((name) => this.#counts(name, binding)));
    }
    return all;
  }

  /** A section after this one of which something is applied; `null`: there is none. */
  async oneAfter(section: number, signal: AbortSignal): Promise<number | null> {
    const shared = this.#shared
      .flatMap(({ ranges }) => ranges.map(([, to]) => to))
      .find((to) => to > section);
    if (shared !== undefined) return shared;
    const name = await this.#folderOf(this.#plan).first(signal, endOfSection(section));
    return name === undefined ? null : sectionOf(name);
  }

  /** The last section, where only reading told: whoever has it. `null`: it is not known. */
  async end(signal: AbortSignal): Promise<number | null> {
    for (const binding of [this.#plan, ...this.#shared]) {
      const lines = await this.#folderOf(binding).read(END, signal);
      if (lines !== undefined) return lines[0] as number;
    }
    return null;
  }

  /** @returns `false` where an end was told already */
  tellEnd(section: number, signal: AbortSignal): Promise<boolean> {
    return this.create(END, [section], signal);
  }

  get #shared(): readonly SharedSections[] {
    return this.#plan.shared ?? [];
  }

  #counts(name: string, binding: Binding): boolean {
    return isSameBinding(this.bindingOf(sectionOf(name) as number), binding);
  }

  #folderOf(binding: Binding): LakeFolder {
    return this.#state.at(this.#folderName(binding));
  }

  #folderName({ build, epoch }: Binding): string {
    return sectionsFolder({ object: this.#plan.object, build, epoch });
  }
}

/** Of the sections of an object, in ascending order, those that others than `own` have. */
export function sharedBesides(own: Binding, sections: readonly HeldSection[]): readonly SharedSections[] {
  const others = sections.filter((section) => !isSameBinding(section, own));
  return [...Map.groupBy(others, ({ build, epoch }) => `${epoch} ${build}`).values()].map((held) => {
    const { build, epoch } = held[0] as HeldSection;
    return { build, epoch, ranges: rangesOf(held) };
  });
}

function rangesOf(sections: readonly HeldSection[]): SharedSections['ranges'] {
  const ranges: [from: number, to: number][] = [];
  for (const { section } of sections) {
    const last = ranges.at(-1);
    if (last?.[1] === section - 1) last[1] = section;
    else ranges.push([section, section]);
  }
  return ranges;
}
