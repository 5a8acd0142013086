import type { PublishedGroup } from '../../domain/ports/result-store.ts';
import { toJson } from './json.ts';
import { notDeclared, requireGeneration } from './lookups.ts';
import { toStoredJson } from './text.ts';
import type { GenerationLock, Transaction, Transactions } from './transaction.ts';
import { replaceView, ResultColumns } from './view.ts';

const BATCH_ROWS = 500;
const DELETE_ROWS = 5_000;

/**
 * Writes groups as they come under a publication of its own, batch by batch, so that neither a connection nor a lock is held meanwhile.
 * One small transaction then points the generation to it: what other tools read changes whole. The rows of the
 * publication before go afterwards.
 */
export async function publish(
  transactions: Transactions,
  generation: string,
  results: AsyncIterable<PublishedGroup>,
  signal: AbortSignal,
): Promise<void> {
  const lock: GenerationLock = { generation, mode: 'shared' };
  const publication = await transactions.write(lock, signal, async (transaction) =>
    begin(transaction, await requireGeneration(transaction, generation)),
  );
  const columns = new ResultColumns();
  try {
    const save = (batch: readonly PublishedGroup[]) =>
      transactions.write(lock, signal, (transaction) =>
        saveBatch(transaction, generation, publication, batch),
      );
    let batch: PublishedGroup[] = [];
    for await (const group of results) {
      signal.throwIfAborted();
      columns.add(group.measures);
      batch.push(group);
      if (batch.length < BATCH_ROWS) continue;
      await save(batch);
      batch = [];
    }
    await save(batch);
    await transactions.write(lock, signal, (transaction) =>
      pointTo(transaction, generation, publication, columns),
    );
  } catch (thrown) {
    // What is left of it is taken away by the next one at the latest, so that this may fail as well.
    await transactions
      .write(lock, new AbortController().signal, (transaction) => end(transaction, publication))
      .catch(() => {});
    throw thrown;
  }
  await dropEnded(transactions, lock, signal);
}

async function begin(transaction: Transaction, generationId: number): Promise<number> {
  const row = await transaction.get<{ id: number }>(
    'INSERT INTO publications (generation_id) VALUES ($1) RETURNING id',
    generationId,
  );
  return (row as { id: number }).id;
}

async function saveBatch(
  transaction: Transaction,
  generation: string,
  publication: number,
  batch: readonly PublishedGroup[],
): Promise<void> {
  if (batch.length === 0) return;
  const groups = new Map(batch.map((one) => [one.group.toWellFormed(), one]));
  const rows = [...groups.values()];
  const saved = await transaction.run(
    `INSERT INTO published (publication_id, "group", measures, findings)
     SELECT publications.id, "group", measures, findings
     FROM publications, unnest($2::text[], $3::jsonb[], $4::jsonb[]) AS added ("group", measures, findings)
     WHERE publications.id = $1
     ON CONFLICT (publication_id, left("group", 512), md5("group"))
       DO UPDATE SET measures = excluded.measures, findings = excluded.findings`,
    publication,
    rows.map(({ group }) => group),
    rows.map(({ measures }) => toStoredJson(toJson(measures))),
    rows.map(({ findings }) => toStoredJson(toJson(findings))),
  );
  // Purged meanwhile.
  if (saved === 0) throw notDeclared(generation);
}

async function pointTo(
  transaction: Transaction,
  generation: string,
  publication: number,
  columns: ResultColumns,
): Promise<void> {
  const pointed = await transaction.get<{ before: number | null }>(
    `UPDATE generations SET publication_id = publications.id
     FROM publications, (SELECT id, publication_id AS before FROM generations WHERE generation = $1 FOR NO KEY UPDATE) AS known
     WHERE publications.id = $2 AND generations.id = publications.generation_id AND known.id = generations.id
     RETURNING known.before`,
    generation,
    publication,
  );
  if (pointed === undefined) throw notDeclared(generation);
  if (pointed.before !== null) await end(transaction, pointed.before);
  await replaceView(transaction, generation, columns);
}

async function end(transaction: Transaction, publication: number): Promise<void> {
  await transaction.run('UPDATE publications SET ended = true WHERE id = $1', publication);
}

/** Takes away the rows of publications that ended, and of those whose process died long ago. */
async function dropEnded(
  transactions: Transactions,
  lock: GenerationLock,
  signal: AbortSignal,
): Promise<void> {
  const publications = await transactions.read(signal, (transaction) =>
    transaction.all<{ id: number }>(
      `SELECT publications.id FROM publications JOIN generations ON generations.id = generation_id
       WHERE generation = $1 AND publications.id IS DISTINCT FROM publication_id
         AND (ended OR begun_at < now() - interval '1 day') ORDER BY publications.id`,
      lock.generation,
    ),
  );
  for (const { id } of publications) {
    const dropSome = () =>
      transactions.write(lock, signal, (transaction) =>
        transaction.run(
          `DELETE FROM published WHERE ctid = ANY(ARRAY(
             SELECT ctid FROM published WHERE publication_id = $1 LIMIT ${DELETE_ROWS} FOR UPDATE SKIP LOCKED))`,
          id,
        ),
      );
    while ((await dropSome()) === DELETE_ROWS);
    await transactions.write(lock, signal, (transaction) =>
      transaction.run(
        'DELETE FROM publications WHERE id = $1 AND NOT EXISTS (SELECT FROM published WHERE publication_id = $1)',
        id,
      ),
    );
  }
}
