import { Readable } from 'node:stream';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
} from '@aws-sdk/client-s3';
import { DomainError, InfrastructureError } from '../../domain/errors.ts';
import type { ByteRange, LakeObject, ObjectName } from '../../domain/lake-object.ts';
import { explained, nameOf, statusOf } from './errors.ts';
import { httpHandler } from './http-handler.ts';

/** A body of which nothing comes for so long, in milliseconds, is given up and resumed at its offset. */
const IDLE_TIMEOUT_MS = 10_000;

/** What is asked of S3, in our words, each one request. Everything above it knows no SDK. */
export interface S3Calls {
  /** One page of keys, in the service's order; at most 1,000. */
  list(request: ListRequest, signal: AbortSignal): Promise<ListPage>;
  /** @throws DomainError `E_OBJECT_NOT_FOUND` */
  head(name: ObjectName, signal: AbortSignal): Promise<LakeObject>;
  /**
   * A stretch of an object's bytes, of this version and no other: `range` lies within the object and is not empty. The body ends
   * early, or throws, where the connection breaks; leaving it ends the connection.
   *
   * @throws DomainError `E_OBJECT_NOT_FOUND`, `E_OBJECT_CHANGED`, `E_OBJECT_ARCHIVED`
   */
  get(object: LakeObject, range: ByteRange, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
  /** Writes an object, or replaces it. */
  put(name: ObjectName, body: Uint8Array, options: PutOptions, signal: AbortSignal): Promise<void>;
  /**
   * Writes an object unless there is one by this name: then `false`, and it stays as it is. A service that does not look at `If-None-Match`
   * replaces it.
   */
  create(name: ObjectName, body: Uint8Array, options: PutOptions, signal: AbortSignal): Promise<boolean>;
  /** All bytes of a small object, whatever its version; `undefined` where there is none. */
  fetch(name: ObjectName, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** Removes an object. There is none by this name: nothing happens. */
  remove(name: ObjectName, signal: AbortSignal): Promise<void>;
  /** Closes its connections. */
  close(): void;
}

export interface ListRequest {
  readonly bucket: string;
  readonly prefix: string;
  /** Only keys behind this one; of the first page only. */
  readonly after: string | undefined;
  /** Where the page before this one ended. */
  readonly token: string | undefined;
  /** At most so many keys. */
  readonly maxKeys: number;
}

export interface ListPage {
  readonly objects: readonly LakeObject[];
  /** `undefined`: this was the last one. */
  readonly next: string | undefined;
}

export interface PutOptions {
  readonly contentType: string;
}

export interface S3Settings {
  /** The bucket in the path instead of in the host's name: for MinIO, Ceph, and twins on loopback. Default `false`. */
  readonly pathStyle?: boolean;
  /** Beside the standard settings (`AWS_REGION`, `AWS_ENDPOINT_URL_S3`, …), which the client reads by itself. */
  readonly config?: S3ClientConfig;
}

export function createS3Calls({ pathStyle = false, config = {} }: S3Settings = {}): S3Calls {
  const client = new S3Client({
    // Whoever calls retries, and resumes a body at its offset, which the client could not.
    maxAttempts: 1,
    // Services other than S3 refuse checksums that they do not know; our ranges are counted and our copies have digests.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: httpHandler({ idleTimeoutMs: IDLE_TIMEOUT_MS }),
    forcePathStyle: pathStyle,
    ...config,
  });
  return {
    async list({ bucket, prefix, after, token, maxKeys }, signal) {
      const page = await explained(`s3://${bucket}/${prefix} cannot be listed`, signal, () =>
        client.send(
          new ListObjectsV2Command({
            Bucket: bucket,
            Prefix: prefix,
            MaxKeys: maxKeys,
            // XML cannot hold every character that a key can.
            EncodingType: 'url',
            ...(token === undefined ? {} : { ContinuationToken: token }),
            ...(token === undefined && after !== undefined && after !== '' ? { StartAfter: after } : {}),
          }),
          { abortSignal: signal },
        ),
      );
      if (page.IsTruncated === true && page.NextContinuationToken === undefined) {
        throw new InfrastructureError(
          `s3://${bucket}/${prefix}: the listing says that it goes on, but not where`,
          {
            retryable: false,
          },
        );
      }
      const decode = page.EncodingType === 'url' ? decodeListedKey : (key: string) => key;
      return {
        objects: (page.Contents ?? []).map(({ Key = '', ETag, Size = 0 }) => {
          const name = { bucket, key: decode(Key) };
          return { ...name, version: versionOf(ETag, name), size: Size };
        }),
        next: page.NextContinuationToken,
      };
    },

    async head(name, signal) {
      const { ETag, ContentLength } = await asObject(name, signal, () =>
        client.send(new HeadObjectCommand({ Bucket: name.bucket, Key: name.key }), { abortSignal: signal }),
      );
      if (ContentLength === undefined)
        throw new InfrastructureError(`${urlOf(name)} has no Content-Length`, { retryable: false });
      return { bucket: name.bucket, key: name.key, version: versionOf(ETag, name), size: ContentLength };
    },

    async get(object, { start, end }, signal) {
      const { Body, ContentRange, ETag } = await asObject(object, signal, () =>
        client.send(
          new GetObjectCommand({
            Bucket: object.bucket,
            Key: object.key,
            Range: `bytes=${start}-${end - 1}`,
            IfMatch: `"${object.version}"`,
          }),
          { abortSignal: signal },
        ),
      );
      if (!(Body instanceof Readable)) throw new InfrastructureError(`${urlOf(object)} came without a body`);
      try {
        // Not every service looks at If-Match.
        if (versionOf(ETag, object) !== object.version) throw changed(object);
        if (ContentRange === undefined || !ContentRange.startsWith(`bytes ${start}-${end - 1}/`)) {
          throw new InfrastructureError(
            `${urlOf(object)}: bytes ${start}-${end - 1} were asked for, the answer holds ${ContentRange ?? 'everything'}`,
            { retryable: false },
          );
        }
      } catch (error) {
        Body.destroy();
        throw error;
      }
      return bodyOf(Body, object, signal);
    },

    async put(name, body, { contentType }, signal) {
      await explained(`${urlOf(name)} cannot be written`, signal, () =>
        client.send(
          new PutObjectCommand({ Bucket: name.bucket, Key: name.key, Body: body, ContentType: contentType }),
          { abortSignal: signal },
        ),
      );
    },

    async create(name, body, { contentType }, signal) {
      return explained(`${urlOf(name)} cannot be written`, signal, async () => {
        try {
          await client.send(
            new PutObjectCommand({
              Bucket: name.bucket,
              Key: name.key,
              Body: body,
              ContentType: contentType,
              IfNoneMatch: '*',
            }),
            { abortSignal: signal },
          );
          return true;
        } catch (error) {
          if (statusOf(error) === 412) return false;
          // Somebody else writes the same name just now; who was first shows in a moment.
          if (statusOf(error) === 409)
            throw new InfrastructureError(`${urlOf(name)} is being written`, { cause: error });
          throw error;
        }
      });
    },

    async fetch(name, signal) {
      return explained(`${urlOf(name)} cannot be read`, signal, async () => {
        try {
          const { Body, ContentLength } = await client.send(
            new GetObjectCommand({ Bucket: name.bucket, Key: name.key }),
            { abortSignal: signal },
          );
          const bytes = (await Body?.transformToByteArray()) ?? new Uint8Array();
          if (ContentLength !== undefined && bytes.length !== ContentLength)
            throw new InfrastructureError(`${urlOf(name)} broke off at byte ${bytes.length}`);
          return bytes;
        } catch (error) {
          if (statusOf(error) === 404 && nameOf(error) !== 'NoSuchBucket') return undefined;
          throw error;
        }
      });
    },

    async remove(name, signal) {
      await explained(`${urlOf(name)} cannot be removed`, signal, () =>
        client.send(new DeleteObjectCommand({ Bucket: name.bucket, Key: name.key }), { abortSignal: signal }),
      );
    },

    close: () => client.destroy(),
  };
}

/** For people. */
export function urlOf({ bucket, key }: ObjectName): string {
  return `s3://${bucket}/${key}`;
}

export function notFound(name: ObjectName, cause?: unknown): DomainError {
  return new DomainError(`There is no object ${urlOf(name)}`, { code: 'E_OBJECT_NOT_FOUND', cause });
}

function changed(object: LakeObject, cause?: unknown): DomainError {
  return new DomainError(`${urlOf(object)} has changed since it was listed`, {
    code: 'E_OBJECT_CHANGED',
    position: { kind: 'row', object, coordinate: null, output: null },
    cause,
  });
}

/** Calls S3 about one object, and tells what is wrong with the object from what is wrong with the call. */
async function asObject<T>(
  name: ObjectName | LakeObject,
  signal: AbortSignal,
  call: () => Promise<T>,
): Promise<T> {
  return explained(`${urlOf(name)} cannot be read`, signal, async () => {
    try {
      return await call();
    } catch (error) {
      const status = statusOf(error);
      const said = nameOf(error);
      if (status === 404 && said !== 'NoSuchBucket') throw notFound(name, error);
      // 416: shorter than it was; what does not look at If-Match looks at the range.
      if ((status === 412 || status === 416) && 'version' in name) throw changed(name, error);
      if (said === 'InvalidObjectState') {
        throw new DomainError(`${urlOf(name)} is archived`, { code: 'E_OBJECT_ARCHIVED', cause: error });
      }
      throw error;
    }
  });
}

/** The client ends the connection when the signal is aborted. */
async function* bodyOf(body: Readable, name: ObjectName, signal: AbortSignal): AsyncIterable<Uint8Array> {
  const pieces = body[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  try {
    for (;;) {
      const next = await explained(`${urlOf(name)} broke off`, signal, () => pieces.next());
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    // A body that was read to its end keeps its connection; any other loses it.
    body.destroy();
  }
}

/** An entity tag without its quotes; it goes back with them. */
function versionOf(tag: string | undefined, name: ObjectName): string {
  const version = /^"?([^"]+)"?$/.exec(tag ?? '')?.[1];
  // A weak tag may stay the same when bytes change, and never matches.
  if (version === undefined || version.startsWith('W/'))
    throw new InfrastructureError(`${urlOf(name)} has no strong ETag`, { retryable: false });
  return version;
}

/** Keys in a listing are encoded as in a form: `+` is a space. */
function decodeListedKey(encoded: string): string {
  return decodeURIComponent(encoded.replaceAll('+', ' '));
}
