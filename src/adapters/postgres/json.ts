/** JSON for people and other tools: bigints are numbers where they are exact as such, else text. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, field: unknown) => {
    if (typeof field !== 'bigint') return field;
    const number = Number(field);
    return Number.isSafeInteger(number) ? number : String(field);
  });
}
