import { child, childElements, textOf, type XmlNode, xmlTree } from './xml-tree.js';

const OPEN = '<m:oMath>';
const CLOSE = '</m:oMath>';

/**
 * The XML of a Word document with its formulas as runs of text, on one line as one would type them: `(a+b)/c`, `x^2`,
 * `√(y)`. mammoth drops formulas without a word.
 */
export function withFormulasAsText(xml: string, maxDepth: number): string {
  const parts: string[] = [];
  let from = 0;
  for (let at = xml.indexOf(OPEN); at >= 0; at = xml.indexOf(OPEN, from)) {
    const end = xml.indexOf(CLOSE, at);
    if (end < 0) break;
    const formula = xmlTree(Buffer.from(xml.slice(at, end + CLOSE.length)), maxDepth);
    parts.push(xml.slice(from, at), `<w:r><w:t xml:space="preserve">${escaped(linear(formula))} </w:t></w:r>`);
    from = end + CLOSE.length;
  }
  parts.push(xml.slice(from));
  return from === 0 ? xml : parts.join('').replace(/<\/?m:oMathPara>/g, '');
}

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

/** See ECMA-376 part 1, 22.1.2. Deep formulas are refused before they come here. */
function linear(node: XmlNode): string {
  const part = (name: string) => {
    const found = child(node, name);
    return found ? linear(found) : '';
  };
  const property = (name: string) => child(node, `${node.name}Pr`, name)?.attributes['m:val'];
  switch (node.name) {
    case 't':
      return textOf(node);
    case 'f':
      return `${grouped(part('num'))}/${grouped(part('den'))}`;
    case 'sSup':
    case 'sSub':
    case 'sSubSup':
      return grouped(part('e')) + script('_', part('sub')) + script('^', part('sup'));
    case 'rad':
      return `${part('deg')}√(${part('e')})`;
    case 'nary':
      return `${property('chr') ?? '∫'}${script('_', part('sub'))}${script('^', part('sup'))} ${part('e')}`;
    case 'd':
      return `${property('begChr') ?? '('}${childElements(node).filter(isPart).map(linear).join(', ')}${property('endChr') ?? ')'}`;
    case 'func':
      return `${part('fName')} ${part('e')}`;
    case 'm':
      return `[${childElements(node).filter(isPart).map(linear).join('; ')}]`;
    case 'eqArr':
      return childElements(node).filter(isPart).map(linear).join('; ');
    case 'mr':
      return childElements(node).map(linear).join(', ');
    default:
      return childElements(node).filter(isPart).map(linear).join('');
  }
}

const isPart = ({ name }: XmlNode): boolean => !name.endsWith('Pr');

const grouped = (text: string): string => (text.length > 1 && !/^[\p{L}\d.]+$/u.test(text) ? `(${text})` : text);

const script = (mark: string, text: string): string => (text === '' ? '' : mark + grouped(text));
