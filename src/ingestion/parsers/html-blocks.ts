import { attribute, type Element, parseHtml, type Visitor, walk } from './html-tree.js';
import { isMain, type Survey, survey } from './html-survey.js';
import { HtmlTable } from './html-table.js';
import type { TextBuilder } from './text-builder.js';

// prettier-ignore
const NEVER_READ = new Set([
  'head', 'title', 'script', 'style', 'noscript', 'template', 'svg', 'iframe', 'object', 'embed', 'canvas', 'audio',
  'video', 'select', 'option', 'datalist', 'textarea', 'noframes', 'noembed', 'annotation', 'annotation-xml', 'rp',
]);
// prettier-ignore
const BLOCKS = new Set([
  'html', 'body', 'address', 'article', 'aside', 'blockquote', 'center', 'dd', 'details', 'dialog', 'div', 'dl', 'dt',
  'fieldset', 'figcaption', 'figure', 'footer', 'form', 'header', 'hgroup', 'hr', 'legend', 'main', 'nav', 'p', 'search',
  'section', 'summary', 'table', 'caption', 'thead', 'tbody', 'tfoot', 'tr', 'td', 'th',
]);
const FURNITURE = new Set(['header', 'footer', 'aside']);
const LISTS = new Set(['ul', 'ol', 'menu', 'dir']);
const PREFORMATTED = new Set(['pre', 'xmp', 'listing', 'plaintext']);
const HIDING_STYLE =
  /(?:^|[;\s])(?:display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?:px|pt|r?em|%)?\s*(?:;|!|$))/i;

/**
 * Appends the readable text of an HTML document or fragment to `builder`; nothing hidden, scripted or navigational.
 * @returns the `<title>`, if there is one
 */
export function readHtml(html: string, builder: TextBuilder): string | null {
  const root = parseHtml(html);
  const known = survey(root);
  const before = builder.count;
  walk(root, new BlockReader(builder, known, true));
  // A page whose words all stand in its header or navigation is still a page with words.
  if (builder.count === before) walk(root, new BlockReader(builder, known, false));
  return known.title;
}

class BlockReader implements Visitor {
  private inline: string[] = [];
  private heading = 0;
  private preformatted = 0;
  private mains = 0;
  private readonly lists: { ordered: boolean; count: number }[] = [];
  private listLines: string[] = [];
  private marker = '';
  private table: HtmlTable | null = null;

  constructor(
    private readonly builder: TextBuilder,
    private readonly known: Survey,
    private readonly dropFurniture: boolean,
  ) {}

  text(value: string): void {
    if (this.table) this.table.text(value);
    else this.inline.push(this.preformatted > 0 ? value : value.replace(/\s+/g, ' '));
  }

  enter(element: Element): boolean {
    if (this.isUnwanted(element)) return false;
    const tag = element.tagName;
    if (isMain(element)) this.mains += 1;
    if (this.table) this.table.enter(tag, (name) => attribute(element, name));
    else if (tag === 'br') this.inline.push('\n');
    else if (headingLevel(tag) > 0) this.startHeading(headingLevel(tag));
    else if (LISTS.has(tag)) this.startList(tag === 'ol', element);
    else if (tag === 'li') this.startItem();
    else if (PREFORMATTED.has(tag)) this.startPreformatted();
    else if (tag === 'table' && !this.known.layoutTables.has(element)) this.startTable();
    else if (BLOCKS.has(tag)) this.flush();
    return true;
  }

  leave(element: Element): void {
    const tag = element.tagName;
    if (isMain(element)) this.mains -= 1;
    if (this.table) this.leaveInTable(tag);
    else if (headingLevel(tag) > 0) this.endHeading();
    else if (LISTS.has(tag)) this.endList();
    else if (PREFORMATTED.has(tag)) this.endPreformatted();
    else if (BLOCKS.has(tag) || tag === 'li') this.flush();
    if (tag === 'html') this.endDocument();
  }

  private isUnwanted(element: Element): boolean {
    const tag = element.tagName;
    if (NEVER_READ.has(tag) || isHidden(element)) return true;
    if (tag === 'button') return this.heading === 0; // the question of an accordion is a button within its heading
    if (!this.dropFurniture) return false;
    if (tag === 'nav' || attribute(element, 'role') === 'navigation' || this.known.furniture.has(element)) return true;
    return FURNITURE.has(tag) && this.known.hasMain && this.mains === 0;
  }

  private takeInline(): string {
    const text = this.inline.join('');
    this.inline = [];
    return this.preformatted > 0
      ? text
      : text
          .replace(/ *\n */g, '\n')
          .replace(/ {2,}/g, ' ')
          .trim();
  }

  private flush(): void {
    if (this.preformatted > 0) return;
    const text = this.takeInline();
    if (text === '') return;
    if (this.heading > 0) {
      this.builder.add('heading', text.replaceAll('\n', ' '), this.heading);
    } else if (this.lists.length > 0) {
      const indent = '  '.repeat(this.lists.length - 1);
      this.listLines.push(indent + (this.marker || '  ') + text.replaceAll('\n', `\n${indent}  `));
      this.marker = '';
    } else {
      this.builder.add('paragraph', text);
    }
  }

  private flushList(): void {
    this.flush();
    if (this.listLines.length > 0) this.builder.add('list', this.listLines.join('\n'));
    this.listLines = [];
  }

  private startHeading(level: number): void {
    this.flushList();
    this.heading = level;
  }

  private endHeading(): void {
    this.flush();
    this.heading = 0;
  }

  private startList(ordered: boolean, element: Element): void {
    this.flush();
    const first = Number.parseInt(attribute(element, 'start') ?? '1', 10);
    this.lists.push({ ordered, count: Number.isNaN(first) ? 0 : first - 1 });
  }

  private startItem(): void {
    this.flush();
    const list = this.lists.at(-1);
    if (!list) return;
    list.count += 1;
    this.marker = list.ordered ? `${list.count}. ` : '- ';
  }

  private endList(): void {
    this.flush();
    this.lists.pop();
    this.marker = '';
    if (this.lists.length === 0) this.flushList();
  }

  private startPreformatted(): void {
    if (this.preformatted === 0) this.flushList();
    this.preformatted += 1;
  }

  private endPreformatted(): void {
    if (this.preformatted === 1) this.builder.add('code', this.takeInline());
    this.preformatted -= 1;
  }

  private startTable(): void {
    this.flushList();
    this.table = new HtmlTable((cells) => this.builder.countCells(cells));
  }

  private leaveInTable(tag: string): void {
    if (tag !== 'table') return this.table?.leave(tag);
    this.builder.addTable(this.table!.finish());
    this.table = null;
  }

  private endDocument(): void {
    this.lists.length = 0;
    this.flushList();
  }
}

const headingLevel = (tag: string): number => (/^h[1-6]$/.test(tag) ? Number(tag[1]) : 0);

function isHidden(element: Element): boolean {
  for (const { name, value } of element.attrs) {
    if (name === 'hidden' || (name === 'aria-hidden' && value.trim().toLowerCase() === 'true')) return true;
    if (name === 'style' && HIDING_STYLE.test(value.replace(/\/\*.*?\*\//g, ''))) return true;
  }
  return element.tagName === 'dialog' && attribute(element, 'open') === null;
}
