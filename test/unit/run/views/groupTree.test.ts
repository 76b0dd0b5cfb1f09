import { expect, test } from 'vitest';
import { Structure } from '../../../../src/domain/structure.ts';
import { type TreeNode, treeOf } from '../../../../src/run/views/groupView.ts';
import { group } from '../../domain/arbitraries.ts';

const shape = ({ group: key, children }: TreeNode): unknown => [key, ...children.map(shape)];

test('every group stands in the tree once, also what lies in a circle or hangs on nothing', () => {
  const broken = new Structure([group(1), group(2, [], 1), group(3, [], 4), group(4, [], 3), group(5, [], 9)]);
  expect(treeOf(broken, new Map()).map(shape)).toEqual([['g1', ['g2']], ['g5'], ['g3', ['g4']]]);
  expect(treeOf(broken, new Map(), 4 as never).map(shape)).toEqual([['g4', ['g3']]]);
});
