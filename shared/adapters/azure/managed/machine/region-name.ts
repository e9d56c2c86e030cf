/** Regions are written `West Europe` and `westeurope`. */
export function regionKey(location: string): string {
  return location.toLowerCase().replaceAll(" ", "");
}

export function isSameRegion(one: string | undefined, other: string | undefined): boolean {
  return one !== undefined && other !== undefined && regionKey(one) === regionKey(other);
}
