/** Placeholders: loading, empty, failed. */
import { Alert, Button, Loader } from "@mantine/core";
import { Component, type ReactNode } from "react";
import { asError } from "../data/hooks";
import { visible } from "../text";

export function Loading({ name }: { name: string }) {
  return (
    <div className="state" role="status">
      <Loader size="sm" type="dots" /> <span>Reading {name} …</span>
    </div>
  );
}

export function Empty({ children }: { children: ReactNode }) {
  return <div className="state empty">{children}</div>;
}

export function Failed({ error }: { error: Error }) {
  return (
    <Alert color="orange" title="This could not be shown" m="md" className="failed" data-testid="failed">
      {visible(error.message)}
    </Alert>
  );
}

/** Show an error in place of the part of the page that threw it. */
export class Boundary extends Component<{ children: ReactNode }, { error: Error | null }> {
  override state = { error: null as Error | null };
  static getDerivedStateFromError(error: unknown) {
    return { error: asError(error) };
  }
  override render() {
    if (!this.state.error) return this.props.children;
    return (
      <>
        <Failed error={this.state.error} />
        <Button m="md" variant="light" onClick={() => this.setState({ error: null })}>
          Try again
        </Button>
      </>
    );
  }
}
