/** A component, a fragment, or an element of HTML; `</` closes it. Text such as "a < b" is none of them. */
const TAG = /<\/?(?:([A-Za-z][\w.:-]*)(?=[\s/>{])|(?=>))/y;
const ESM =
  /(?:import\s+(?:[\w*{][^'"\n]*\bfrom\b|\{\s*$|["'])|export\s+(?:default|const|let|var|function|class|async|type|interface|[{*]))/my;
const FENCE = /[^\S\n]*(`{3,}|~{3,})/y;
const SPAN = /`+/y;

/** How far the end of a tag, an expression or an inline code is looked for, and how often in vain, before all is text. */
const REACH = 20_000;
const PATIENCE = 200;

/**
 * MDX as Markdown: without ESM lines, `{expressions}` (a quoted text in one stays) and the tags of components. Elements in
 * small letters are left to the Markdown reader, without attributes that are expressions. Code is left as it is. What does
 * not end is text.
 * @param mdx with "\n" for line ends
 */
export function withoutJsx(mdx: string): string {
  const out: string[] = [];
  let at = /^---\n[\s\S]*?\n---(?:\n|$)/.exec(mdx)?.[0].length ?? 0;
  let from = 0;
  let lineStart = true;
  let patience = PATIENCE;
  const replace = (end: number, text: string) => {
    out.push(mdx.slice(from, at), text);
    from = at = end;
  };
  while (at < mdx.length) {
    if (lineStart) {
      lineStart = false;
      const fence = matchAt(FENCE, mdx, at)?.[1];
      if (fence) {
        at = endOfFence(mdx, at, fence);
        lineStart = true;
        continue;
      }
      if (isBlockStart(mdx, at) && matchAt(ESM, mdx, at)) {
        replace(endOfEsm(mdx, at), '\n');
        lineStart = true;
        continue;
      }
    }
    const char = mdx[at];
    if (char === '`') at = endOfSpan(mdx, at);
    else if (char === '\\') at += 2;
    else if (char === '{' && patience > 0) {
      const end = endOfExpression(mdx, at);
      if (end > 0) replace(end, quotedText(mdx.slice(at + 1, end - 1)));
      else {
        at += 1;
        patience -= 1;
      }
    } else if (char === '<' && patience > 0) {
      const tag = matchAt(TAG, mdx, at);
      const end = tag ? endOfTag(mdx, at + tag[0].length) : 0;
      if (tag && end > 0) replace(end, replacement(mdx.slice(at, end), tag[1]));
      else {
        at += 1;
        if (tag) patience -= 1;
      }
    } else {
      lineStart = char === '\n';
      at += 1;
    }
  }
  out.push(mdx.slice(from));
  return out.join('');
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

const isBlockStart = (text: string, at: number): boolean =>
  /(?:^|\n[^\S\n]*\n|---\n)$/.test(text.slice(Math.max(0, at - 200), at));

/** Imports and exports go on to an empty line that stands outside of their braces. */
function endOfEsm(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length; at += 1) {
    const char = text[at]!;
    if (char === '{' || char === '(' || char === '[') depth += 1;
    else if (char === '}' || char === ')' || char === ']') depth -= 1;
    else if (char === '\n' && depth <= 0 && /^[^\S\n]*(?:\n|$)/.test(text.slice(at + 1, at + 200))) return at + 1;
    if (at - from > REACH) break;
  }
  const line = text.indexOf('\n', from);
  return depth <= 0 || line < 0 ? text.length : line;
}

function endOfFence(text: string, at: number, fence: string): number {
  const close = new RegExp(`\\n[^\\S\\n]*${fence[0]}{${fence.length},}[^\\S\\n]*(?:\\n|$)`, 'g');
  close.lastIndex = text.indexOf('\n', at) < 0 ? text.length : text.indexOf('\n', at);
  return close.exec(text) ? close.lastIndex : text.length;
}

function endOfSpan(text: string, at: number): number {
  const ticks = matchAt(SPAN, text, at)![0];
  const rest = text.slice(at + ticks.length, at + REACH);
  const end = new RegExp(`(?<!\`)${ticks}(?!\`)`).exec(rest);
  return end ? at + ticks.length + end.index + ticks.length : at + ticks.length;
}

/** The offset behind the `}` that closes the `{` at `from`; 0 when there is none. Quotes hide braces. */
function endOfExpression(text: string, from: number): number {
  let depth = 0;
  let quote = '';
  for (let at = from; at < text.length && at - from < REACH; at += 1) {
    const char = text[at]!;
    if (quote !== '') {
      if (char === '\\') at += 1;
      else if (char === quote || (char === '\n' && quote !== '`')) quote = '';
    } else if (char === '"' || char === "'" || char === '`') quote = char;
    else if (text.startsWith('/*', at)) at = skipComment(text, at);
    else if (char === '{') depth += 1;
    else if (char === '}' && --depth === 0) return at + 1;
  }
  return 0;
}

function skipComment(text: string, at: number): number {
  const end = text.indexOf('*/', at + 2);
  return end < 0 ? text.length : end + 1;
}

/** The offset behind the `>` of a tag; 0 when there is none. */
function endOfTag(text: string, from: number): number {
  for (let at = from; at < text.length && at - from < REACH; at += 1) {
    const char = text[at]!;
    if (char === '>') return at + 1;
    if (char === '"' || char === "'") {
      at = text.indexOf(char, at + 1);
      if (at < 0) return 0;
    } else if (char === '{') {
      const end = endOfExpression(text, at);
      if (end === 0) return 0;
      at = end - 1;
    } else if (char === '<') return 0;
  }
  return 0;
}

function replacement(tag: string, name: string | undefined): string {
  if (name === undefined || /^[A-Z]|\./.test(name)) return '';
  return tag.includes('{') ? `${tag.startsWith('</') ? '</' : '<'}${name}>` : tag;
}

/** What `{'words'}` says; other expressions say nothing to a reader. */
const quotedText = (expression: string): string => /^\s*(["'`])([^"'`$\\]*)\1\s*$/.exec(expression)?.[2] ?? '';
