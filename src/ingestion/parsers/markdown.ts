import type { Nodes, Parents, RootContent, Table } from 'mdast';
import { fromMarkdown } from 'mdast-util-from-markdown';
import { frontmatterFromMarkdown } from 'mdast-util-frontmatter';
import { gfmFromMarkdown } from 'mdast-util-gfm';
import { frontmatter } from 'micromark-extension-frontmatter';
import { gfm } from 'micromark-extension-gfm';
import { decodeText } from './decode.js';
import { readHtml } from './html-blocks.js';
import { asUnreadable, emptyDocument, type Parser } from './parsed.js';
import { tableText, type TableText } from './table-rows.js';
import { oneLine, TextBuilder } from './text-builder.js';

const withoutFrontMatter = { extensions: [gfm()], mdastExtensions: [gfmFromMarkdown()] };
const withFrontMatter = {
  extensions: [gfm(), frontmatter(['yaml', 'toml'])],
  mdastExtensions: [gfmFromMarkdown(), frontmatterFromMarkdown(['yaml', 'toml'])],
};
/** In MDX, what is indented is the child of a component and no code. */
const flush = { disable: { null: ['codeIndented'] } };

/** Characters that are parsed at once: 5 MB of dense Markdown in one piece exceeded 768 MiB, in pieces it takes 230. */
const PART_CHARS = 64 * 1024;

/**
 * Markdown (CommonMark with GitHub's extensions) as the text a reader would see: no marks, no link targets, no images.
 * The title is the front matter's `title`, or else the first level-1 heading.
 */
export const markdownParser: Parser = {
  contentType: 'text/markdown',
  async parse(bytes, bounds) {
    const builder = new TextBuilder(bounds);
    try {
      const title = readMarkdown(decodeText(bytes), builder);
      if (builder.isEmpty) throw emptyDocument();
      return builder.finish(title ?? builder.firstHeading());
    } catch (error) {
      throw asUnreadable(error, 'Markdown document');
    }
  },
};

/**
 * Appends the blocks of a Markdown text.
 * @param indentedCode whether lines indented by four spaces are code
 * @returns the title of its front matter, if there is one
 */
export function readMarkdown(text: string, builder: TextBuilder, indentedCode = true): string | null {
  let title: string | null = null;
  for (const [index, part] of splitLong(text).entries()) {
    const { extensions, mdastExtensions } = index === 0 ? withFrontMatter : withoutFrontMatter;
    const { children } = fromMarkdown(part, {
      extensions: indentedCode ? extensions : [...extensions, flush],
      mdastExtensions,
    });
    if (index === 0) title = frontMatterTitle(children[0]);
    readBlocks(children, builder);
  }
  return title;
}

/**
 * Cuts a long text before headings that stand outside of fenced code. A link whose definition is in another part keeps
 * its brackets; that is the price of reading the file at all.
 */
function splitLong(text: string): string[] {
  if (text.length <= 2 * PART_CHARS) return [text];
  const parts: string[] = [];
  let from = 0;
  let fence: string | null = null;
  for (const { 0: line, 1: mark, index } of text.matchAll(/^(?: {0,3}(`{3,}|~{3,})|#{1,6} ).*$/gm)) {
    if (mark !== undefined) {
      if (fence === null) fence = mark;
      else if (mark.startsWith(fence) && line.trim() === mark) fence = null;
    } else if (fence === null && index - from >= PART_CHARS) {
      parts.push(text.slice(from, index));
      from = index;
    }
  }
  parts.push(text.slice(from));
  return parts;
}

/** Front matter is the uploader's text: one line of it is looked for, nothing of it is interpreted. */
function frontMatterTitle(first: RootContent | undefined): string | null {
  if (first?.type !== 'yaml' && (first?.type as string | undefined) !== 'toml') return null;
  const line = /^title\s*[:=]\s*(.+?)\s*$/im.exec((first as { value: string }).value)?.[1] ?? '';
  const quoted = /^(["'])(.*)\1$/.exec(line);
  return oneLine(quoted?.[2] ?? line.replace(/\s+#.*$/, '')) || null;
}

/** Without recursion: ten thousand nested quotes are one kilobyte times ten to write. */
function readBlocks(children: readonly RootContent[], builder: TextBuilder): void {
  const waiting = children.toReversed();
  for (let node = waiting.pop(); node; node = waiting.pop()) {
    switch (node.type) {
      case 'heading':
        builder.add('heading', inlineText(node).replaceAll('\n', ' '), node.depth);
        break;
      case 'paragraph':
        builder.add('paragraph', inlineText(node));
        break;
      case 'code':
        builder.add('code', node.value);
        break;
      case 'table':
        builder.addTable(tableOf(node, builder));
        break;
      case 'html':
        readHtmlNode(node.value, builder);
        break;
      case 'list':
        waiting.push(...readList(node, builder).toReversed());
        break;
      case 'blockquote':
      case 'footnoteDefinition':
        waiting.push(...node.children.toReversed());
        break;
      default:
        break; // definitions, thematic breaks and front matter are not read aloud
    }
  }
}

function readHtmlNode(html: string, builder: TextBuilder): void {
  // "<!-- … -->" and lone tags are most of what Markdown files hold; neither is worth a tree.
  if (/^\s*(?:<!--(?:[^-]|-(?!->))*-->|<\/?[a-z][^<>]*>)\s*$/i.test(html)) return;
  readHtml(html, builder);
}

/** The list as one block of lines. What is no line (a table, code, a heading) follows it as blocks of their own. */
function readList(list: Nodes, builder: TextBuilder): RootContent[] {
  const lines: string[] = [];
  const others: RootContent[] = [];
  const waiting: { node: Nodes; depth: number; marker: string }[] = [{ node: list, depth: 0, marker: '' }];
  for (let at = waiting.pop(); at; at = waiting.pop()) {
    const { node, depth, marker } = at;
    const indent = '  '.repeat(Math.min(depth, 8));
    if (node.type === 'list') {
      const first = node.start ?? 1;
      const items = node.children.map((item, index) => ({
        node: item as Nodes,
        depth,
        marker: node.ordered ? `${first + index}. ` : '- ',
      }));
      waiting.push(...items.toReversed());
    } else if (node.type === 'listItem') {
      const ticked = node.checked === true ? '[x] ' : node.checked === false ? '[ ] ' : '';
      const parts = node.children.map((child, index) => ({
        node: child as Nodes,
        depth: child.type === 'list' ? depth + 1 : depth,
        marker: index === 0 ? marker + ticked : '  ',
      }));
      waiting.push(...parts.toReversed());
    } else if (node.type === 'paragraph') {
      const text = inlineText(node);
      if (text.trim() !== '') lines.push(indent + marker + text.replaceAll('\n', `\n${indent}  `));
    } else {
      others.push(node as RootContent);
    }
  }
  builder.add('list', lines.join('\n'));
  return others;
}

function tableOf(table: Table, builder: TextBuilder): TableText {
  const rows = table.children.map(({ children }) => {
    builder.countCells(children.length);
    return children.map((cell) => oneLine(inlineText(cell)));
  });
  return tableText(rows, 1);
}

/** The words of inline content; a hard break is a line break, raw inline tags and images are nothing. */
function inlineText(parent: Parents): string {
  const parts: string[] = [];
  const waiting: Nodes[] = [...parent.children].toReversed();
  for (let node = waiting.pop(); node; node = waiting.pop()) {
    if (node.type === 'text' || node.type === 'inlineCode') parts.push(node.value);
    else if (node.type === 'break' || (node.type === 'html' && /^<br\b/i.test(node.value))) parts.push('\n');
    else if ('children' in node) waiting.push(...[...node.children].toReversed());
  }
  return parts.join('');
}
