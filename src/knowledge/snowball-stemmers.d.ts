declare module 'snowball-stemmers' {
  interface Stemmer {
    stem(word: string): string;
  }
  /** CommonJS: the stemmers of the Snowball project, as its compiler made them. Throws for a language it does not have. */
  const snowball: { newStemmer(language: string): Stemmer };
  export default snowball;
}
