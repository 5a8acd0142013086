import type { Row } from '../../domain/row.ts';
import type { AnyPipeline } from '../../domain/pipeline.ts';

export interface SubjectObject {
  readonly key: string;
  readonly content: Uint8Array | string;
}

/** What is simulated: a lake, messages from elsewhere, and the code that takes them. */
export interface Subject {
  readonly objects: readonly SubjectObject[];
  /** Each comes at least once, and counts once. */
  readonly messages: readonly { readonly key: string; readonly row: Row }[];
  /** The pipeline's versions, each a stack of its own over the same lake. */
  readonly versions: readonly VersionOfCode[];
}

export interface VersionOfCode {
  readonly pipeline: AnyPipeline;
  /** Other code for the same declaration, which gives the same answers by other frames: what a deployment brings. */
  readonly deployed: AnyPipeline;
  /** The same declaration with code that fails at nothing; `null`: what fails stays open. */
  readonly mended: AnyPipeline | null;
}
