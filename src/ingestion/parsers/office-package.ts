import { posix } from 'node:path';
import { Archive } from './archive.js';
import type { ReadBounds } from './parsed.js';
import { meaningfulTitle } from './title.js';
import { child, childElements, textOf, type XmlNode, xmlTree } from './xml-tree.js';

interface Relation {
  id: string;
  /** The last word of its type: `slide`, `worksheet`. */
  type: string;
  /** The part's name in the archive. */
  target: string;
}

/** The container of PowerPoint and Excel files: named parts, and relations between them. Nothing outside of it is followed. */
export class OfficePackage {
  private readonly archive: Archive;

  constructor(
    bytes: Buffer,
    private readonly bounds: ReadBounds,
  ) {
    this.archive = new Archive(bytes, bounds);
  }

  part(name: string): Buffer | null {
    return this.archive.read(name);
  }

  tree(name: string): XmlNode | null {
    const bytes = this.part(name);
    return bytes && xmlTree(bytes, this.bounds.depth);
  }

  /** The part that the document begins with. @throws Error when there is none */
  get main(): string {
    const main = this.relations('').find(({ type }) => type === 'officeDocument');
    if (!main) throw new Error('the package names no document');
    return main.target;
  }

  /** What a part refers to within the package, in order. */
  relations(part: string): Relation[] {
    const folder = posix.dirname(part);
    const list = this.tree(posix.join(folder, '_rels', `${posix.basename(part)}.rels`));
    const relations: Relation[] = [];
    for (const { attributes } of list ? childElements(list) : []) {
      const { Id = '', Type = '', Target = '', TargetMode = '' } = attributes;
      if (TargetMode === 'External' || Target === '') continue;
      const target = Target.startsWith('/') ? posix.normalize(Target.slice(1)) : posix.join(folder, Target);
      relations.push({ id: Id, type: posix.basename(Type), target });
    }
    return relations;
  }

  /** The title among the document's properties, unless a program made it up. */
  get title(): string | null {
    const properties = this.tree('docProps/core.xml');
    const title = properties && child(properties, 'title');
    return title ? meaningfulTitle(textOf(title)) : null;
  }
}
