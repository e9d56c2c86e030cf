/**
 * Type GUIDs of GPT partitions that Azure VMs have: the UEFI specification 2.10 (table 5.7), Microsoft's PARTITION_INFORMATION_GPT
 * (winioctl.h), the Discoverable Partitions Specification of the UAPI group, GRUB's and Linux's own.
 */
const names: Readonly<Record<string, string>> = {
  "c12a7328-f81f-11d2-ba4b-00a0c93ec93b": "EFI system",
  "21686148-6449-6e6f-744e-656564454649": "BIOS boot",
  "024dee41-33e7-11d3-9d69-0008c781f39f": "MBR partition scheme",
  "0fc63daf-8483-4772-8e79-3d69d8477de4": "Linux filesystem",
  "4f68bce3-e8cd-4db1-96e7-fbcaf984b709": "Linux root (x86-64)",
  "b921b045-1df0-41c3-af44-4c6f280d3fae": "Linux root (ARM-64)",
  "8484680c-9521-48c6-9c11-b0720656f69e": "Linux /usr (x86-64)",
  "b0e01050-ee5f-4390-949a-9101b17104e9": "Linux /usr (ARM-64)",
  "933ac7e1-2eb4-4f13-b844-0e14e2aef915": "Linux home",
  "3b8f8425-20e0-4f3b-907f-1a25a76f98e8": "Linux server data",
  "4d21b016-b534-45c2-a9fb-5c16e091fd2d": "Linux variable data",
  "bc13c2ff-59e6-4262-a352-b275fd6f7172": "Linux extended boot",
  "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f": "Linux swap",
  "a19d880f-05fc-4d3b-a006-743f0f84911e": "Linux RAID",
  "e6d6d379-f507-44c2-a23c-238f2a3df928": "Linux LVM",
  "8da63339-0007-60c0-c436-083ac8230908": "Linux reserved",
  "ca7d7ccb-63ed-4c53-861c-1742536059cc": "Linux LUKS",
  "e3c9e316-0b5c-4db8-817d-f92df00215ae": "Microsoft reserved",
  "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7": "Microsoft basic data",
  "de94bba4-06d1-4d40-a16a-bfd50179d6ac": "Windows recovery",
  "5808c8aa-7e8f-42e0-85d2-e1e90434cfb3": "Windows LDM metadata",
  "af9b60a0-1431-4f62-bc68-3311714a69ad": "Windows LDM data",
  "e75caf8f-f680-4cee-afa3-b001e56efc2d": "Windows Storage Spaces",
  "9e1a2d38-c612-4316-aa26-8b49521e5a8b": "PowerPC PReP boot",
  "516e7cb4-6ecf-11d6-8ff8-00022d09712b": "FreeBSD data",
  "516e7cb6-6ecf-11d6-8ff8-00022d09712b": "FreeBSD UFS",
  "516e7cba-6ecf-11d6-8ff8-00022d09712b": "FreeBSD ZFS",
  "516e7cb5-6ecf-11d6-8ff8-00022d09712b": "FreeBSD swap",
  "83bd6b9d-7f41-11dc-be0b-001560b84f0f": "FreeBSD boot",
  "6a898cc3-1dd2-11b2-99a6-080020736631": "Solaris /usr or ZFS",
};

/** `guid` in lower case; one that is not known is its own name. */
export function partitionTypeName(guid: string): string {
  return names[guid] ?? `type ${guid}`;
}

/** Types whose content lies spread over disks in ways that are not read here, whatever the first bytes look like. */
export const foreignTypes: Readonly<Record<string, { readonly type: string; readonly note: string }>> = {
  "5808c8aa-7e8f-42e0-85d2-e1e90434cfb3": { type: "ldm", note: "dynamic disk (Windows LDM)" },
  "af9b60a0-1431-4f62-bc68-3311714a69ad": { type: "ldm", note: "dynamic disk (Windows LDM)" },
  "e75caf8f-f680-4cee-afa3-b001e56efc2d": { type: "storage-spaces", note: "member of a Storage Spaces pool" },
};
