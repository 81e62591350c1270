import { attribute, type Element } from './html-tree.js';

const NAMES =
  /(?:^|[\s_-])(?:nav|navbar|navigation|menu|submenu|dropdown|breadcrumbs?|sidebar|toc|portlet|interlanguage|languages?|lang|pagination|pager|cookies?|consent|share|sharing|social)(?=$|[\s_-])/i;
const SKIPS = /skip|jump/i;
const LINKING = new Set(['a', 'button', 'label', 'summary']);
const LINKS_SHARE = 0.8;

/**
 * Finds menus that are no `<nav>`: elements that are named like one and hold hardly anything but links. Either sign alone
 * also fits what people came to read: an index, or a chapter about sharing. Told of a tree in document order.
 */
export class FurnitureFinder {
  readonly found: Set<Element> = new Set();
  private readonly suspects: { element: Element; chars: number; linked: number }[] = [];
  private links = 0;

  text(value: string): void {
    if (this.suspects.length === 0) return;
    const chars = value.trim().length;
    // Innermost only; it hands its count on when it ends.
    const suspect = this.suspects.at(-1)!;
    suspect.chars += chars;
    if (this.links > 0) suspect.linked += chars;
  }

  enter(element: Element): void {
    if (LINKING.has(element.tagName)) this.links += 1;
    if (isSkipLink(element)) this.found.add(element);
    else if (isNamed(element)) this.suspects.push({ element, chars: 0, linked: 0 });
  }

  leave(element: Element): void {
    if (LINKING.has(element.tagName)) this.links -= 1;
    const suspect = this.suspects.at(-1);
    if (suspect?.element !== element) return;
    this.suspects.pop();
    if (suspect.linked >= suspect.chars * LINKS_SHARE) this.found.add(element);
    const around = this.suspects.at(-1);
    if (!around) return;
    around.chars += suspect.chars;
    around.linked += suspect.linked;
  }
}

/** "Skip to main content": a link within the page, called so. */
const isSkipLink = (element: Element): boolean =>
  element.tagName === 'a' && attribute(element, 'href')?.startsWith('#') === true && SKIPS.test(namesOf(element));

function isNamed(element: Element): boolean {
  if (element.tagName === 'body' || element.tagName === 'html' || element.tagName === 'main') return false;
  return NAMES.test(namesOf(element));
}

const namesOf = (element: Element): string => `${attribute(element, 'class') ?? ''} ${attribute(element, 'id') ?? ''}`;
