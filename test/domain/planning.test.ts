import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { judgeFrame, nothingApplied, type SectionBinding } from '../../src/domain/applying.ts';
import { decidePlan, type BegunSection, type KnownObject } from '../../src/domain/planning.ts';

const object = { bucket: 'lake', key: 'a.csv', version: 'v1', size: 100 };

function known(fields: Partial<KnownObject> = {}): KnownObject {
  return { object, build: 'A', epoch: 1, complete: false, sections: [], ...fields };
}

function begun(section: number, fields: Partial<BegunSection> = {}): BegunSection {
  return { section, build: 'A', epoch: 1, complete: false, next: null, ...fields };
}

const done = (section: number, fields: Partial<BegunSection> = {}) =>
  begun(section, { complete: true, next: 10 * section + 10, ...fields });

describe('A plan', () => {
  const shared = { build: 'B', keepsBuilds: true };

  it('of another build takes over what is not begun, and leaves what is to its build, if that is kept', () => {
    const sections = [done(0), begun(2), begun(5, { next: 60 })];
    expect(decidePlan(known({ sections }), object, shared)).toEqual({
      verdict: 'process',
      epoch: 2,
      complete: [{ section: 0, next: 10 }],
      held: [
        { section: 2, build: 'A', epoch: 1 },
        { section: 5, build: 'A', epoch: 1 },
      ],
    });
    expect(decidePlan(known({ sections }), object, { build: 'B' })).toEqual({
      verdict: 'other-build',
      epoch: 1,
      complete: [{ section: 0, next: 10 }],
      held: [],
    });
  });

  it('of another build that is not kept is refused also where all that is begun is complete', () => {
    expect(decidePlan(known({ sections: [done(0)] }), object, { build: 'B' })).toMatchObject({
      verdict: 'other-build',
    });
    expect(decidePlan(known({ sections: [done(0)] }), object, shared)).toMatchObject({
      verdict: 'process',
      held: [],
    });
  });

  it('of the same build holds nothing but what it began under another epoch', () => {
    const sections = [begun(0), begun(1, { epoch: 3 }), done(2)];
    const same = known({ epoch: 3, sections });
    expect(decidePlan(same, object, { build: 'A' })).toMatchObject({
      verdict: 'process',
      epoch: 3,
      held: [{ section: 0, build: 'A', epoch: 1 }],
    });
  });

  it('never shares an object that is complete, or has another content', () => {
    expect(decidePlan(known({ complete: true }), object, shared)).toMatchObject({
      verdict: 'complete',
      epoch: 1,
      held: [],
    });
    const v2 = { ...object, version: 'v2' };
    expect(decidePlan(known({ sections: [begun(0)] }), v2, shared)).toMatchObject({
      verdict: 'changed',
      epoch: 1,
    });
    expect(decidePlan(known({ settled: true }), v2, shared)).toMatchObject({ verdict: 'changed' });
    expect(decidePlan(known(), v2, shared)).toEqual({ verdict: 'process', epoch: 2, complete: [], held: [] });
  });
});

const SECTIONS = 4;
/** What happens to one object of some sections: it is planned by a build, or somebody sends something of one of its sections. */
const step = fc.oneof(
  fc.record({
    do: fc.constant('plan' as const),
    build: fc.constantFrom('A', 'B', 'C'),
    keepsBuilds: fc.boolean(),
  }),
  fc.record({
    do: fc.constant('send' as const),
    section: fc.nat(SECTIONS - 1),
    sender: fc.nat(9),
    ends: fc.boolean(),
  }),
);

/** A store of the smallest kind: what it knows of the object, and whose frames counted. */
class OneObject {
  known: KnownObject | undefined;
  /** Every plan that was ever made, the newest last. */
  readonly plans: SectionBinding[] = [];
  readonly counted = new Map<number, Set<string>>();

  plan(build: string, keepsBuilds: boolean): void {
    const before = this.known;
    const decision = decidePlan(before, object, { build, keepsBuilds });
    if (decision.verdict !== 'process') {
      expect(keepsBuilds).toBe(false);
      return;
    }
    const { epoch, held, complete } = decision;
    const sections = before?.sections ?? [];
    // Each section is somebody's: complete, held under what began it, or this plan's.
    expect([...complete, ...held].length).toBe(
      sections.filter((one) => one.complete || one.build !== build || one.epoch !== epoch).length,
    );
    for (const one of held)
      expect(sections).toContainEqual(expect.objectContaining({ ...one, complete: false }));
    this.known = known({ build, epoch, sections });
    this.plans.push({ version: object.version, build, epoch });
  }

  send(section: number, sender: number, ends: boolean): void {
    const by = this.plans[sender % Math.max(1, this.plans.length)];
    if (by === undefined || this.known === undefined) return;
    const { build, epoch, sections } = this.known;
    const own = sections.find((one) => one.section === section);
    const binding = { version: object.version, build: own?.build ?? build, epoch: own?.epoch ?? epoch };
    const frame = { object, ...by, digest: by.build, reach: null, killed: [] };
    const applied = { ...nothingApplied, complete: own?.complete ?? false };
    if (judgeFrame(binding, applied, frame) !== 'applied') return;
    const senders = this.counted.get(section) ?? new Set();
    this.counted.set(section, senders.add(`${by.build} ${by.epoch}`));
    const changed = { ...binding, section, complete: ends, next: ends ? 10 : null };
    const others = sections.filter((one) => one.section !== section);
    this.known = { ...this.known, sections: [...others, changed].sort((a, b) => a.section - b.section) };
  }
}

describe('Plans and frames of several builds, in any order', () => {
  it('give each section to one build alone, and can always finish it', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const one = new OneObject();
        one.plan('A', false);
        for (const next of steps) {
          if (next.do === 'plan') one.plan(next.build, next.keepsBuilds);
          else one.send(next.section, next.sender, next.ends);
        }
        for (const senders of one.counted.values()) expect(senders.size).toBe(1);
        // Whoever plans it now with the builds kept is told of all that is left, and under what it counts.
        const { complete, held, epoch } = decidePlan(one.known, object, { build: 'D', keepsBuilds: true });
        one.plan('D', true);
        const isDone = new Set(complete.map(({ section }) => section));
        for (let section = 0; section < SECTIONS; section++) {
          if (isDone.has(section)) continue;
          const { build, epoch: bound } = held.find((other) => other.section === section) ?? {
            build: 'D',
            epoch,
          };
          const sender = one.plans.findIndex((plan) => plan.build === build && plan.epoch === bound);
          one.send(section, sender, true);
        }
        expect(one.known?.sections.map(({ section, complete: ended }) => [section, ended])).toEqual(
          Array.from({ length: SECTIONS }, (_, section) => [section, true]),
        );
        for (const senders of one.counted.values()) expect(senders.size).toBe(1);
      }),
      { numRuns: 1_000 },
    );
  });
});
