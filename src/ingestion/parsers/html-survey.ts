import { FurnitureFinder } from './html-furniture.js';
import { attribute, type Element, walk } from './html-tree.js';

export interface Survey {
  /** `<title>` of the document's head. */
  title: string | null;
  /** An article or main exists: what stands outside of it in headers, footers and asides is page furniture. */
  hasMain: boolean;
  /** Tables that arrange a page rather than data: read as blocks, not as rows. */
  layoutTables: Set<Element>;
  /** Menus that are not marked up as such. */
  furniture: ReadonlySet<Element>;
}

export const isMain = (element: Element): boolean =>
  element.tagName === 'main' || element.tagName === 'article' || attribute(element, 'role') === 'main';

const BREAKS_A_GRID = new Set(['h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'pre', 'article', 'main']);

/** What has to be known about the whole tree before its first word is read. */
export function survey(root: Parameters<typeof walk>[0]): Survey {
  const finder = new FurnitureFinder();
  const found: Survey = { title: null, hasMain: false, layoutTables: new Set(), furniture: finder.found };
  const tables: { element: Element; cells: number; widest: number }[] = [];
  let titled: string[] | null = null;
  const allLayout = () => {
    // From the innermost outwards, up to the first that is marked already: linear over the whole tree.
    for (let at = tables.length - 1; at >= 0; at -= 1) {
      const { element } = tables[at]!;
      if (found.layoutTables.has(element)) break;
      found.layoutTables.add(element);
    }
  };
  walk(root, {
    text(value) {
      titled?.push(value);
      finder.text(value);
    },
    enter(element) {
      const tag = element.tagName;
      if (tag === 'svg' || tag === 'script' || tag === 'style') return false;
      finder.enter(element);
      if (isMain(element)) found.hasMain = true;
      if (BREAKS_A_GRID.has(tag) || tag === 'table') allLayout();
      const table = tables.at(-1);
      if (tag === 'title' && found.title === null) titled = [];
      else if (tag === 'table') tables.push({ element, cells: 0, widest: 0 });
      else if (tag === 'tr' && table) table.cells = 0;
      else if ((tag === 'td' || tag === 'th') && table) table.widest = Math.max(table.widest, ++table.cells);
      return true;
    },
    leave(element) {
      finder.leave(element);
      if (element.tagName === 'title' && titled) {
        found.title = titled.join('');
        titled = null;
      } else if (element.tagName === 'table') {
        const table = tables.pop();
        if (table && table.widest < 2) found.layoutTables.add(element);
      }
    },
  });
  return found;
}
