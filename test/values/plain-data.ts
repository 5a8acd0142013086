import fc from 'fast-check';

/** Any UTF-16, lone surrogates too. */
const anyText = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc
    .array(fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 0xd7ff, max: 0xe000 })), {
      maxLength: 8,
    })
    .map((units) => String.fromCharCode(...units)),
  fc.integer({ min: 0, max: 300 }).map((length) => 'x'.repeat(length)),
  fc.integer({ min: 0, max: 300 }).map((length) => 'ö'.repeat(length)),
);

const fieldName = fc.oneof(
  fc.constantFrom('__proto__', 'constructor', 'toString', 'hasOwnProperty', 'toJSON', 'length', '', 'then'),
  fc.constantFrom('$bigint', '$date', '$bytes', '$number', '$undefined', '$object', '$', '$$'),
  fc.constantFrom('a', 'b', 'c'),
  anyText,
);

const leaf: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(null, true, false, -0, 0, Number.NaN, Infinity, -Infinity),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.constantFrom(
    -129,
    -128,
    -33,
    -32,
    -1,
    127,
    128,
    255,
    256,
    65_535,
    65_536,
    2 ** 31,
    2 ** 32 - 1,
    2 ** 32,
  ),
  fc.double(),
  fc.bigInt(),
  fc.bigInt({ min: -(2n ** 1500n), max: 2n ** 1500n }),
  anyText,
  fc.date({ noInvalidDate: false }),
  fc.uint8Array({ maxLength: 40 }),
);

/** An object with these fields, whatever their names. */
export function objectOf(
  fields: readonly (readonly [string, unknown])[],
  prototype: object | null = Object.prototype,
) {
  const object = Object.create(prototype) as Record<string, unknown>;
  for (const [name, value] of fields)
    Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
  return object;
}

/** What a message may hold: nested, with everything that has ever gone wrong in it. */
export const plainData: fc.Arbitrary<unknown> = fc.letrec<{ data: unknown }>((tie) => ({
  data: fc.oneof(
    { maxDepth: 5, depthSize: 'small' },
    leaf,
    fc.array(fc.oneof(tie('data'), fc.constant(undefined)), { maxLength: 6 }),
    fc.array(fc.option(tie('data'), { nil: undefined }), { maxLength: 4 }).map((items) => {
      // Holes, not `undefined`.
      const sparse: unknown[] = [];
      sparse.length = items.length + 1;
      items.forEach((item, index) => item !== undefined && (sparse[index] = item));
      return sparse;
    }),
    fc
      .tuple(
        fc.array(fc.tuple(fieldName, fc.oneof(tie('data'), fc.constant(undefined))), { maxLength: 20 }),
        fc.boolean(),
      )
      .map(([fields, bare]) => objectOf(fields, bare ? null : Object.prototype)),
  ),
})).data;

/** A message: mostly an object, as pipelines return them. */
export const anyMessage: fc.Arbitrary<unknown> = fc.oneof(
  fc.array(fc.tuple(fieldName, plainData), { maxLength: 6 }).map((fields) => objectOf(fields)),
  plainData.filter((value) => value !== undefined),
);

/** Whether `got` is what must arrive where `sent` was sent: -0 as 0, holes as `undefined`, without undefined fields. */
export function arrivedAs(sent: unknown, got: unknown): boolean {
  if (typeof sent === 'number' && sent === 0) return Object.is(got, 0);
  if (typeof sent !== 'object' || sent === null) return Object.is(sent, got);
  if (typeof got !== 'object' || got === null) return false;
  if (Array.isArray(sent)) {
    return (
      Array.isArray(got) &&
      got.length === sent.length &&
      Array.from(sent).every((item, index) => index in got && arrivedAs(item, (got as unknown[])[index]))
    );
  }
  if (sent instanceof Date) return got instanceof Date && Object.is(sent.getTime(), got.getTime());
  if (sent instanceof Uint8Array) {
    return (
      got instanceof Uint8Array && got.length === sent.length && sent.every((byte, at) => byte === got[at])
    );
  }
  if (Array.isArray(got) || Object.getPrototypeOf(got) !== Object.prototype) return false;
  const names = Object.keys(sent).filter((name) => (sent as Record<string, unknown>)[name] !== undefined);
  const arrived = Object.keys(got);
  return (
    arrived.length === names.length &&
    names.every(
      (name, index) =>
        arrived[index] === name &&
        arrivedAs((sent as Record<string, unknown>)[name], (got as Record<string, unknown>)[name]),
    )
  );
}
