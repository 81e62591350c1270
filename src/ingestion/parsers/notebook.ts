import { decodeText } from './decode.js';
import { readMarkdown } from './markdown.js';
import { asUnreadable, emptyDocument, NOTEBOOK, type Parser } from './parsed.js';
import { TextBuilder } from './text-builder.js';

/** Text in a notebook is one string, or one a line with its line break. */
type Lines = string | string[];

interface Cell {
  cell_type: string;
  source?: Lines;
  outputs?: { text?: Lines; data?: Record<string, Lines> }[];
}

interface Notebook {
  cells: Cell[];
  metadata?: { title?: unknown };
}

/**
 * Jupyter notebooks (nbformat 4): prose as Markdown, programs and the text that they printed as code. Pictures and what
 * only a notebook server understands are left out. The title is that of the metadata, or else the first level-1 heading.
 */
export const notebookParser: Parser = {
  contentType: NOTEBOOK,
  async parse(bytes, bounds) {
    const builder = new TextBuilder(bounds);
    try {
      const { cells, metadata } = notebookIn(decodeText(bytes));
      for (const cell of cells) readCell(cell, builder);
      if (builder.isEmpty) throw emptyDocument();
      const title = typeof metadata?.title === 'string' ? metadata.title.slice(0, 300) : '';
      return builder.finish(title || builder.firstHeading());
    } catch (error) {
      throw asUnreadable(error, 'notebook');
    }
  },
};

function notebookIn(text: string): Notebook {
  const notebook = JSON.parse(text.replace(/^\ufeff/, '')) as Partial<Notebook> | null;
  if (!Array.isArray(notebook?.cells)) throw new Error('it has no list of cells');
  return { ...notebook, cells: notebook.cells };
}

function readCell({ cell_type: kind, source, outputs }: Cell, builder: TextBuilder): void {
  if (kind === 'markdown') return void readMarkdown(joined(source), builder);
  builder.add(kind === 'code' ? 'code' : 'paragraph', joined(source));
  for (const { text, data } of Array.isArray(outputs) ? outputs : [])
    builder.add('code', joined(text ?? data?.['text/plain']));
}

const joined = (lines: unknown): string =>
  [lines]
    .flat()
    .filter((line) => typeof line === 'string')
    .join('');
