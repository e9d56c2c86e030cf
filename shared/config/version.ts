/** The same as in package.json; a test holds them together. A constant, so that a bundle needs no file beside it. */
export const farsideVersion = "0.1.0";
