import { randomUUID } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { DomainError, isSluiceError } from '../../domain/errors.ts';
import type { LakeObject, ObjectName } from '../../domain/lake-object.ts';
import type { ObjectSource } from '../../domain/ports/object-source.ts';
import type { LambdaContext, LambdaHandler, PartialResponse } from './events.ts';
import type { FunctionName } from './handler.ts';

export interface KeptBundlesOptions {
  readonly source: ObjectSource;
  /** Where `bundles/<pipeline>/<build>/<function>.mjs` is. */
  readonly bucket: string;
  readonly pipeline: string;
  readonly name: FunctionName;
  /** Where they are written to be imported. Default: the machine's folder for temporary files. */
  readonly folder?: string;
}

/** It becomes a part of keys and paths, and comes out of messages. */
const BUILD = /^[\w-]{1,128}$/;

/** The code of earlier builds: what one of them began, it finishes. Each is fetched once per warm container. */
export class KeptBundles {
  readonly #options: KeptBundlesOptions;
  readonly #handlers = new Map<string, Promise<LambdaHandler>>();

  constructor(options: KeptBundlesOptions) {
    this.#options = options;
  }

  /**
   * Hands one record of an event to the build that it belongs to.
   *
   * @throws DomainError `E_OTHER_BUILD` where that build is not kept
   * @returns whether it is done
   */
  async handle(
    build: string,
    record: unknown,
    context: LambdaContext,
    signal: AbortSignal,
  ): Promise<boolean> {
    const handler = await this.#load(build, signal);
    const reply = (await handler({ Records: [record] }, context)) as
      Partial<PartialResponse> | null | undefined;
    return (reply?.batchItemFailures ?? []).length === 0;
  }

  /** Whether a build is kept. */
  async has(build: string, signal: AbortSignal): Promise<boolean> {
    if (!BUILD.test(build)) return false;
    try {
      await this.#options.source.stat(this.#nameOf(build), signal);
      return true;
    } catch (thrown) {
      if (isSluiceError(thrown) && thrown.code === 'E_OBJECT_NOT_FOUND') return false;
      throw thrown;
    }
  }

  async #load(build: string, signal: AbortSignal): Promise<LambdaHandler> {
    const known = this.#handlers.get(build);
    if (known !== undefined) return known;
    const loading = this.#import(build, signal);
    this.#handlers.set(build, loading);
    try {
      return await loading;
    } catch (thrown) {
      // It may be kept, or be reached, when the next one asks.
      this.#handlers.delete(build);
      throw thrown;
    }
  }

  async #import(build: string, signal: AbortSignal): Promise<LambdaHandler> {
    const { folder = tmpdir(), name } = this.#options;
    const bytes = await this.#fetch(build, signal);
    const kept = path.join(folder, 'sluice-bundles', build);
    await mkdir(kept, { recursive: true });
    const file = path.join(kept, `${name}.mjs`);
    // Whole, or not there: another process may be importing it.
    const partial = `${file}.${randomUUID()}`;
    await writeFile(partial, bytes);
    await rename(partial, file);
    const { handler } = (await import(pathToFileURL(file).href)) as { handler?: unknown };
    if (typeof handler === 'function') return handler as LambdaHandler;
    throw this.#notKept(build, new Error(`${file} exports no handler`));
  }

  async #fetch(build: string, signal: AbortSignal): Promise<Uint8Array> {
    const { source } = this.#options;
    if (!BUILD.test(build)) throw this.#notKept(build);
    try {
      const object = await source.stat(this.#nameOf(build), signal);
      return await readWhole(source, object, signal);
    } catch (thrown) {
      if (isSluiceError(thrown) && thrown.code === 'E_OBJECT_NOT_FOUND') throw this.#notKept(build, thrown);
      throw thrown;
    }
  }

  #nameOf(build: string): ObjectName {
    const { bucket, pipeline, name } = this.#options;
    return { bucket, key: `bundles/${pipeline}/${build}/${name}.mjs` };
  }

  #notKept(build: string, cause?: unknown): DomainError {
    const { bucket, pipeline } = this.#options;
    return new DomainError(
      `it belongs to build ${build}, which is not kept in s3://${bucket}/bundles/${pipeline}/`,
      { code: 'E_OTHER_BUILD', cause },
    );
  }
}

/** All bytes of an object; for what is small. */
export async function readWhole(
  source: ObjectSource,
  object: LakeObject,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source.read(object, { start: 0, end: object.size }, signal))
    // The source may use its memory again for the next one.
    chunks.push(Uint8Array.from(chunk));
  return Buffer.concat(chunks);
}
