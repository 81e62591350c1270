/** Each way in which what is stored can disagree with itself, in words. */
export const kinds = {
  base_not_cleared: 'a deleted knowledge base still has documents or open syncs',
  document_not_cleared: 'a deleted document left rows behind, or its deletion is not complete after an hour',
  document_without_revision: 'a document has no content at all, and its external id is taken',
  text_missing: 'a revision that a version shows has no stored text',
  chunks_missing: 'a revision that a version shows, or that is ready, lacks chunks',
  vectors_missing: 'chunks that a version shows have no vector',
  postings_missing: 'chunks that a version shows are in no segment',
  shown_in_part: 'a version shows some chunks of a revision and not the others',
  chunks_stray: 'chunks whose revision is gone',
  vectors_stray: 'vectors whose chunk is gone',
  postings_stray: 'segments that name a revision whose chunks are gone',
  segment_broken: 'a segment without its postings, or with other numbers than its chunks',
  version_status: 'the active version and the pointer of the base differ',
  version_stats: 'a version is said to show more or less than it does',
  index_stray: 'tables of an index that is gone',
  blob_missing: 'bytes that a revision needs are not in the store',
  blob_stray: 'bytes in the store that nothing needs',
} as const;

export type Kind = keyof typeof kinds;

/** Something that disagrees: where, and what would set it right. */
export interface Finding {
  kind: Kind;
  /** Ids only, never words of a document. */
  where: string;
  /** @returns whether it agrees now; absent: nothing can be done about it */
  mend?: () => Promise<boolean>;
}

export interface Disagreement {
  kind: Kind;
  means: string;
  count: number;
  mended: number;
  /** A few of them. */
  examples: string[];
}

const mostExamples = 5;

/** What a check found, kind by kind. */
export class Report {
  private readonly found = new Map<Kind, Disagreement>();
  /** How many of each were looked at. */
  readonly checked: Record<string, number> = {};

  constructor(
    private readonly mending: boolean,
    private readonly failed: (finding: Finding, error: unknown) => void,
  ) {}

  count(what: string, many: number): void {
    this.checked[what] = (this.checked[what] ?? 0) + many;
  }

  /** Notes them, and mends them where that is wished for. What cannot be mended now is no reason to stop. */
  async take(findings: readonly Finding[]): Promise<void> {
    for (const finding of findings) {
      const { kind, where, mend } = finding;
      const entry = this.found.get(kind) ?? { kind, means: kinds[kind], count: 0, mended: 0, examples: [] };
      this.found.set(kind, entry);
      entry.count += 1;
      if (entry.examples.length < mostExamples) entry.examples.push(where);
      if (this.mending && mend && (await this.attempt(finding, mend))) entry.mended += 1;
    }
  }

  get disagreements(): Disagreement[] {
    return [...this.found.values()];
  }

  private async attempt(finding: Finding, mend: () => Promise<boolean>): Promise<boolean> {
    try {
      return await mend();
    } catch (error) {
      this.failed(finding, error);
      return false;
    }
  }
}
