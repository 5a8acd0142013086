import { DomainError } from '../../domain/errors.ts';
import type { ObjectName } from '../../domain/lake-object.ts';

/** What a location of the lake names. */
export interface Location {
  readonly bucket: string;
  /** The object with exactly this key; `undefined` where the location ends with `/` or is a bucket. */
  readonly key: string | undefined;
  /** Where to list if there is no such object; `undefined` where the location can only be an object or a folder. */
  readonly listing: Listing | undefined;
}

/** Keys below a prefix. */
export interface Listing {
  readonly prefix: string;
  /** Whether a key is part of the lake, of those below the prefix. */
  readonly includes: (key: string) => boolean;
}

const SCHEME = 's3://';
const WILDCARD = /[*?[{]/;

/** What Hadoop writes beside a folder to say that it is one. */
const FOLDER_MARK = '_$folder$';

/**
 * Reads a location: `s3://bucket`, `s3://bucket/prefix/`, `s3://bucket/key` (an object, or what lies under it as a folder),
 * `s3://bucket/pre*` (everything that begins so), `s3://bucket/a/*.{csv,json}` (a glob: `*` and `?` within a name, `**` across
 * folders, `[a-z]`, `{a,b}`). Characters stand for themselves: nothing is percent-decoded.
 *
 * @throws DomainError `E_LOCATION`
 */
export function parseLocation(location: string): Location {
  const rest = location.startsWith(SCHEME) ? location.slice(SCHEME.length) : '';
  const slash = rest.indexOf('/');
  const bucket = slash < 0 ? rest : rest.slice(0, slash);
  const key = slash < 0 ? '' : rest.slice(slash + 1);
  if (bucket === '' || WILDCARD.test(bucket)) {
    throw new DomainError(`${JSON.stringify(location)} is no location on S3: s3://bucket/prefix/ is one`, {
      code: 'E_LOCATION',
    });
  }
  if (key === '' || (key.endsWith('/') && !WILDCARD.test(key)))
    return { bucket, key: undefined, listing: under(key) };
  if (!WILDCARD.test(key)) return { bucket, key, listing: undefined };
  if (key.search(WILDCARD) === key.length - 1 && key.endsWith('*'))
    return { bucket, key, listing: under(key.slice(0, -1)) };
  const all = under(key.slice(0, key.search(WILDCARD)));
  // A folder stands for what is in it.
  const pattern = globPattern(key.endsWith('/') ? `${key}**` : key, location);
  return {
    bucket,
    key,
    listing: { prefix: all.prefix, includes: (found) => pattern.test(found) && all.includes(found) },
  };
}

/** Everything below a prefix but what writers of lakes leave beside the data. */
export function under(prefix: string): Listing {
  // The part that the prefix begins was named, hidden or not.
  const named = prefix === '' || prefix.endsWith('/') ? 0 : 1;
  return {
    prefix,
    includes: (key) =>
      !key.endsWith('/') &&
      !key.endsWith(FOLDER_MARK) &&
      !key.slice(prefix.length).split('/').slice(named).some(isHidden),
  };
}

/**
 * Whether a listing would show an object: what arrives is judged as what is found. Of an object below none of the places it is asked
 * whether a listing of its whole bucket would.
 *
 * @param places `s3://bucket/prefix`: whatever begins so
 */
export function isListed({ bucket, key }: ObjectName, places: readonly string[]): boolean {
  const location = `${SCHEME}${bucket}/${key}`;
  const prefixes = places
    .filter((place) => location.startsWith(place))
    .map((place) => place.slice(SCHEME.length + bucket.length + 1));
  return (prefixes.length === 0 ? [''] : prefixes).some((prefix) => under(prefix).includes(key));
}

/** `_SUCCESS`, `_temporary`, `.crc` and the like. */
function isHidden(name: string): boolean {
  return name.startsWith('_') || name.startsWith('.');
}

/** A glob as an expression over whole keys. A bracket or brace that is never closed stands for itself. */
function globPattern(glob: string, location: string): RegExp {
  let pattern = '';
  let braces = 0;
  for (let at = 0; at < glob.length; at++) {
    const character = glob.charAt(at);
    if (glob.startsWith('**/', at)) {
      pattern += '(?:.*/)?';
      at += 2;
    } else if (glob.startsWith('**', at)) {
      pattern += '.*';
      at += 1;
    } else if (character === '*') pattern += '[^/]*';
    else if (character === '?') pattern += '[^/]';
    else if (character === '[' && glob.indexOf(']', at + 2) > 0) {
      const end = glob.indexOf(']', at + 2);
      const negated = glob.charAt(at + 1) === '!' || glob.charAt(at + 1) === '^';
      const members = glob.slice(at + (negated ? 2 : 1), end).replaceAll(/[\\\]^[|]/g, String.raw`\$&`);
      pattern += `(?!/)[${negated ? '^' : ''}${members}]`;
      at = end;
    } else if (character === '{' && glob.indexOf('}', at) > 0) {
      braces++;
      pattern += '(?:';
    } else if (character === '}' && braces > 0) {
      braces--;
      pattern += ')';
    } else if (character === ',' && braces > 0) pattern += '|';
    else pattern += escaped(character);
  }
  try {
    return new RegExp(`^${pattern}$`, 'su');
  } catch (cause) {
    throw new DomainError(`${JSON.stringify(location)} is no pattern`, { code: 'E_LOCATION', cause });
  }
}

function escaped(character: string): string {
  return character.replace(/[\\^$.*+?()[\]{}|/]/, String.raw`\$&`);
}
